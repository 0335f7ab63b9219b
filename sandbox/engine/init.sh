#!/run/agentstore/bin/busybox sh
# Process 1 of every sandbox: joins the two Unix sockets to loopback, keeps the last of what the agent prints, and
# ends with the agent. It runs as the agent's user and holds nothing that the agent may not have.
box=/run/agentstore/bin/busybox
door=/run/agentstore/agent
relay() {
    exec /run/agentstore/bin/ld.so --library-path /run/agentstore/bin/lib /run/agentstore/bin/socat "$@"
}

umask 077
$box cat > /run/agentstore/mcp.json <<JSON
{"mcpServers": {"store": {"type": "streamable-http", "url": "$MCP_URL", "headers": {"Authorization": "Bearer $MCP_TOKEN"}}}}
JSON

# The log is a ring of two files on the sandbox's own tmpfs. Nothing the agent prints reaches the engine's log
# reader, whose CPU time would be the host's; a flood is slowed by the sandbox's own share.
$box mkfifo /run/agentstore/out
while :; do
    $box dd bs=1024 count=256 of=$door/log 2> /dev/null
    [ -s $door/log ] || break
    $box mv -f $door/log $door/log.old
done < /run/agentstore/out > /dev/null 2>&1 &
exec < /dev/null > /run/agentstore/out 2>&1

relay UNIX-LISTEN:$door/agent.sock,fork,mode=0666,backlog=64,max-children=16 TCP4:127.0.0.1:8080 > /dev/null 2>&1 &
inward=$!
relay TCP4-LISTEN:9000,bind=127.0.0.1,fork,reuseaddr,backlog=64,max-children=16 \
    UNIX-CONNECT:/run/agentstore/gateway/gateway.sock > /dev/null 2>&1 &

umask 022
"$@" &
agent=$!
trap 'kill -TERM $agent' TERM INT
wait $agent
code=$?
exec > /dev/null 2>&1
# Nobody may be let in any more, and the log's reader gets a moment to write what is still on its way.
kill $inward
$box usleep 20000
exit $code
