#!/run/agentstore/bin/busybox sh
# Process 1 of every sandbox: joins the two Unix sockets to loopback, keeps the last of what the agent prints, takes in
# orphans, ends with the agent, and ends everything when the platform has not shown a sign of life for $1 seconds.
# It runs as the agent's user, and the agent means harm: after the start nothing here forks, waits without a limit, or
# trusts a file that the agent may write.
box=/run/agentstore/bin/busybox
door=/run/agentstore/agent
alive=/run/agentstore/gateway/alive
limit=$1
shift
unattended=75

umask 077
# First what takes longest to be there. Not the image's environment: what it preloads is for its own libraries.
$box env -i /run/agentstore/bin/ld.so --library-path /run/agentstore/bin/lib /run/agentstore/bin/nginx \
    -e /dev/null -c /run/agentstore/bin/relay.conf < /dev/null > /dev/null 2>&1 &
relay=$!

# What the shell does by itself costs no program's start, which gVisor makes dear.
printf '{"mcpServers": {"store": {"type": "streamable-http", "url": "%s", "headers": {"Authorization": "Bearer %s"}}}}\n' \
    "$MCP_URL" "$MCP_TOKEN" > /run/agentstore/mcp.json

# 3 is never written to: reading from it is a pause that a child's end cuts short. 4 is where `jobs` tells what ended.
$box mkfifo /run/agentstore/pause /run/agentstore/out
exec 3<> /run/agentstore/pause 4<> /run/agentstore/ended
printf '%04096d' 0 >&4
$box rm /run/agentstore/pause /run/agentstore/ended

# The log is a ring of two files on the sandbox's own tmpfs. Nothing the agent prints reaches the engine's log
# reader, whose CPU time would be the host's; a flood is slowed by the sandbox's own share.
while :; do
    $box dd bs=1024 count=256 of=$door/log 2> /dev/null
    [ -s $door/log ] || break
    $box mv -f $door/log $door/log.old
done 3<&- 4<&- < /run/agentstore/out > /dev/null 2>&1 &
exec < /dev/null > /run/agentstore/out 2>&1

trap : CHLD HUP INT QUIT TSTP TTIN TTOU
trap '[ -n "$agent" ] && kill -TERM $agent' TERM
umask 022
"$@" 3<&- 4<&- &
agent=$!
# The third of our jobs.
job='[3]'

# Sets $code once the agent has ended, and takes in whoever else has.
look() {
    { jobs; echo end; } 1<> /proc/self/fd/4
    while read -r line && [ "$line" != end ]; do
        case "$line" in
            "$job"*Running* | "$job"*Stopped*) ;;
            "$job"*"Done("*) code=${line#*"Done("} code=${code%%")"*} ;;
            "$job"*Done*) code=0 ;;
            "$job"*Killed*) code=137 ;;
            "$job"*Terminated*) code=143 ;;
            "$job"*Segmentation*) code=139 ;;
            "$job"*Aborted*) code=134 ;;
            "$job"*) code=128 ;;
        esac
    done < /proc/self/fd/4
}

tick=$((limit / 20))
[ $tick -ge 1 ] || tick=1
[ $tick -le 5 ] || tick=5
code= was= since=
while look; [ -z "$code" ]; do
    now= seen=
    read -r now rest < /proc/uptime
    read -r seen < $alive
    now=${now%.*}
    if [ -z "$now" ]; then
        code=$unattended # whoever took our clock away
    elif [ -z "$since" ] || { [ -n "$seen" ] && [ "$seen" != "$was" ]; }; then
        since=$now was=$seen
    elif [ $((now - since)) -gt "$limit" ]; then # both are rounded down: never before the platform would say so
        code=$unattended
    else
        read -r -n 1 -t $tick rest <&3
    fi
done

exec > /dev/null 2>&1
# Nobody may be let in any more, and the log's reader gets a moment to write what is still on its way.
kill $relay
read -r -n 1 -t 0.02 rest <&3
exit "$code"
