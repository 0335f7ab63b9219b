// The conversation's page: sends messages, follows the event stream (docs/guides/events.md), draws what it tells.
// Words of an agent only ever become text; cards are HTML that the server drew.
document.addEventListener("alpine:init", () => {
  window.Alpine.data("chat", () => ({
    busy: false,
    source: null,
    after: "",
    // What is told of a turn before the answer to its message has drawn it.
    early: [],

    get idle() {
      return !this.busy;
    },

    init() {
      const { after, running } = this.$root.dataset;
      this.after = after;
      this.root = this.$root;
      this.root.addEventListener("click", (event) => this.clicked(event));
      if (running !== undefined) {
        this.busy = true;
        // The stream is told again from the turn's beginning: what the page was rendered with would be said twice.
        const turn = this.currentTurn();
        turn.querySelector("[data-answer]").textContent = "";
        this.follow();
      }
      const last = this.currentTurn();
      if (last) last.scrollIntoView({ block: "nearest" });
    },

    destroy() {
      this.source?.close();
    },

    // Sending

    enter(event) {
      if (event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.$refs.form.requestSubmit();
    },

    grow() {
      const field = this.$refs.text;
      field.rows = Math.min(6, Math.max(1, field.value.split("\n").length));
    },

    async send() {
      const field = this.$refs.text;
      const text = field.value.trim();
      if (!text || this.busy) return;
      this.busy = true;
      this.notice("");
      const body = new FormData(this.$refs.form);
      try {
        const answer = await this.post(this.$refs.form.action, body);
        const data = await answer.json();
        if (!answer.ok) throw data;
        field.value = "";
        this.grow();
        this.$refs.suggestions?.remove();
        this.$refs.turns.insertAdjacentHTML("beforeend", data.html);
        for (const draw of this.early.splice(0)) draw();
        document.getElementById("chat-limit").innerHTML = data.limit_html;
        window.htmx?.process(document.getElementById("chat-limit"));
        this.turn(data.turn).scrollIntoView({ block: "start", behavior: this.motion() });
        if (!this.source || this.source.readyState === EventSource.CLOSED) {
          this.after = data.after;
          this.follow();
        }
      } catch (problem) {
        this.busy = false;
        const said = problem?.title ? `${problem.title} ${problem.hint ?? ""}`.trim() : "";
        this.notice(said || "Your message was not sent. Check your connection and try again.");
        field.focus();
      }
    },

    async stop() {
      try {
        await this.post(this.root.dataset.stop, new FormData(this.$refs.form));
      } catch {
        this.notice("The answer could not be stopped. Check your connection and try again.");
      }
    },

    post(url, body) {
      return fetch(url, { method: "POST", body, headers: { Accept: "application/json" } });
    },

    clicked(event) {
      const suggestion = event.target.closest("[data-suggestion]");
      const retry = event.target.closest("[data-retry]");
      if (!suggestion && !retry) return;
      const said = suggestion ?? retry.closest("[data-turn]").querySelector("[data-asked]");
      this.$refs.text.value = said.textContent.trim();
      this.$refs.form.requestSubmit();
    },

    // Following

    follow() {
      const url = new URL(this.root.dataset.events, location.href);
      url.searchParams.set("after", this.after);
      this.source?.close();
      this.source = new EventSource(url);
      const on = (name, draw) =>
        this.source.addEventListener(name, (event) => {
          this.after = event.lastEventId;
          const data = JSON.parse(event.data);
          if (this.turn(data.turn)) draw(data);
          else this.early.push(() => draw(data));
        });
      on("status", (data) => this.say(data.turn, data.message));
      on("message.delta", (data) => this.addText(data.turn, data.text));
      on("message.done", (data) => this.setText(data.turn, data.text));
      on("recommendation", (data) => this.addCard(data.turn, data.id));
      on("negotiation", (data) => this.addRound(data.turn, data.id));
      on("turn.done", (data) => this.ended(data.turn, "", data.stopped));
      on("turn.failed", (data) => this.ended(data.turn, data.message));
      this.source.addEventListener("open", () => this.notice(""));
      this.source.addEventListener("error", () => {
        if (this.busy) this.notice("The connection was lost. Trying again…");
      });
    },

    turn(id) {
      return this.$refs.turns.querySelector(`[data-turn="${CSS.escape(id)}"]`);
    },

    currentTurn() {
      return this.$refs.turns.querySelector("[data-turn]:last-child");
    },

    open(id) {
      const turn = this.turn(id);
      return turn && !turn.dataset.ended ? turn : null;
    },

    say(id, message) {
      const turn = this.open(id);
      if (turn) turn.querySelector("[data-status-text]").textContent = message;
    },

    addText(id, text) {
      const turn = this.open(id);
      if (!turn) return;
      this.setText(id, turn.querySelector("[data-answer]").textContent + text);
    },

    setText(id, text) {
      const turn = this.open(id);
      if (!turn) return;
      this.keepingPlace(() => {
        turn.querySelector("[data-answer]").textContent = text;
        turn.querySelector("[data-answer-bubble]").classList.toggle("hidden", !text);
      });
    },

    addCard(id, card) {
      return this.addDrawn(id, "card", card, this.root.dataset.cardsUrl);
    },

    addRound(id, round) {
      return this.addDrawn(id, "round", round, this.root.dataset.roundsUrl);
    },

    // What the server draws, put where its kind belongs in the turn.
    async addDrawn(id, kind, name, url) {
      const turn = this.open(id);
      if (!turn || turn.querySelector(`[data-${kind}="${CSS.escape(name)}"]`)) return;
      const place = document.createElement("div");
      place.dataset[kind] = name;
      const all = turn.querySelector(`[data-${kind}s]`);
      all.append(place);
      try {
        const answer = await fetch(url + name);
        if (!answer.ok) throw answer;
        const html = await answer.text();
        this.keepingPlace(() => {
          all.classList.remove("hidden");
          place.outerHTML = html;
        });
        window.htmx?.process(all);
      } catch {
        place.remove();
      }
    },

    ended(id, failure, stopped = false) {
      const turn = this.open(id);
      if (!turn) return;
      turn.dataset.ended = "yes";
      turn.querySelector("[data-working]").classList.add("hidden");
      if (failure) {
        turn.querySelector("[data-failure-text]").textContent = failure;
        turn.querySelector("[data-failure]").classList.remove("hidden");
      }
      if (stopped) this.notice("You stopped the answer.");
      this.busy = false;
      this.$nextTick(() => this.$refs.text?.focus({ preventScroll: true }));
    },

    notice(text) {
      if (this.$refs.notice) this.$refs.notice.textContent = text;
    },

    motion() {
      return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    },

    // A reader at the end stays there; one who scrolled up is not pulled away.
    keepingPlace(change) {
      const gap = document.documentElement.scrollHeight - window.innerHeight - window.scrollY;
      change();
      if (gap < 160) window.scrollTo({ top: document.documentElement.scrollHeight });
    },
  }));
});
