// Keeps a page that is open up to date, and lets whoever has a token act. Without it the pages say the same.
"use strict";
(() => {
    const SETTLE_MS = 300; // Changes come in bursts.
    const SILENCE_MS = 40_000; // The stream says something every 15 s.
    const AGES_MS = 20_000; // Ages go on where nothing changes.
    const RETRY_MS = [1_000, 30_000];
    const PATIENCE_MS = 15_000;
    const NEWS_MS = 1_500;
    const STREAM = "/api/v1/stream";

    const one = (selector, from = document) => from.querySelector(selector);
    const all = (selector, from = document) => [...from.querySelectorAll(selector)];
    const words = (label) => String(label).replaceAll("_", " ");
    const store = {
        get: (key) => { try { return sessionStorage.getItem(key); } catch { return null; } },
        set: (key, value) => {
            try { value === null ? sessionStorage.removeItem(key) : sessionStorage.setItem(key, value); } catch { /* Then it is kept for this page only. */ }
        },
    };
    let token = store.get("token");
    let mayAct = store.get("acts") !== null;
    let still = store.get("still") !== null;

    function ask(path, options = {}) {
        const headers = { ...options.headers };
        if (token) headers.authorization = `Bearer ${token}`;
        return fetch(path, { cache: "no-store", credentials: "omit", ...options, headers });
    }

    // ---- What is so now, in place of what was

    let busy = false, again = false, timer = 0;

    function soon(delay = SETTLE_MS) {
        if (still || timer) return;
        timer = setTimeout(() => { timer = 0; refresh(); }, delay);
    }

    async function refresh(options = {}) {
        if (still && !options.always) return;
        if (busy) { again = true; return; }
        if (document.hidden && !options.always) { again = true; return; }
        // What somebody is marking, to copy it, is not taken from under their hands.
        if (!options.always && String(getSelection()).trim() !== "") { soon(2_000); return; }
        busy = true; again = false;
        try {
            const answer = await ask(location.href, { signal: AbortSignal.timeout(PATIENCE_MS) });
            if (answer.status === 401) { signIn(token ? "This token is not accepted." : "Seeing this needs a token."); }
            const kind = answer.headers.get("content-type") ?? "";
            const fresh = answer.ok && kind.startsWith("text/html") ? await answer.text() : null;
            // It may be held still since it was asked for.
            if (fresh !== null && (!still || options.always)) swap(new DOMParser().parseFromString(fresh, "text/html"));
        } catch { /* The stream says that nobody answers. */ }
        busy = false;
        if (again) soon();
    }

    function swap(fresh) {
        const version = (from) => one("meta[name=version]", from)?.content;
        if (version(fresh) !== version(document)) { location.reload(); return; }
        const [main, next] = [one("main"), one("main", fresh)];
        document.title = fresh.title;
        // The page on which somebody signs in has none of these.
        for (const name of [".place", ".home"]) {
            const [before, after] = [one(name), one(name, fresh)];
            if (after && before?.textContent !== after.textContent) before ? before.replaceWith(after) : one(".place").after(after);
        }
        one("#as-of").replaceWith(one("#as-of", fresh));
        const focused = keyOf(document.activeElement);
        const open = new Set(all("details[open]", main).map((it) => it.dataset.key));
        const closed = new Set(all("details:not([open])", main).map((it) => it.dataset.key));
        allow(next);
        for (const it of all("details", next)) {
            if (open.has(it.dataset.key)) it.open = true;
            if (closed.has(it.dataset.key)) it.open = false;
        }
        const top = (it) => it.getBoundingClientRect().top;
        const seen = [...main.children].find((it) => it.id && it.getBoundingClientRect().bottom > 0);
        const [place, at] = [seen?.id, seen && top(seen)];
        const known = new Map([...main.children].map((it) => [it.id, it]));
        const parts = [...next.children].map((it) => {
            const before = known.get(it.id);
            // What is being filled in stays, and so does what is the same.
            return before && (it.matches("search") || before.isEqualNode(it)) ? before : document.adoptNode(it);
        });
        const gone = [...main.children].filter((it) => !parts.includes(it));
        parts.forEach((it, place) => { if (main.children[place] !== it) main.insertBefore(it, main.children[place] ?? null); });
        gone.forEach((it) => it.remove());
        // What is read stays where it is, whatever grows above it.
        const there = scrollY > 0 && place && document.getElementById(place);
        if (there) scrollBy({ top: top(there) - at, behavior: "instant" });
        if (focused && !document.activeElement?.matches("main *")) find(focused)?.focus({ preventScroll: true });
    }

    // By what an element is found again once it has been drawn anew.
    function keyOf(it) {
        if (!it?.closest("main")) return null;
        if (it.id) return { id: it.id };
        const within = it.closest("[id]").id;
        return { within, tag: it.localName, text: it.textContent, href: it.getAttribute("href"), key: it.closest("details")?.dataset.key };
    }

    function find(key) {
        if (key.id) return document.getElementById(key.id);
        const near = document.getElementById(key.within) ?? one("main");
        const same = all(key.tag, near).filter((it) => it.getAttribute("href") === key.href && it.closest("details")?.dataset.key === key.key);
        return same.find((it) => it.textContent === key.text) ?? same[0];
    }

    // ---- The stream

    let stream = null, delay = RETRY_MS[0], wasLost = false;

    async function listen() {
        stream?.abort();
        const mine = stream = new AbortController();
        let alive = setTimeout(() => mine.abort(), SILENCE_MS);
        try {
            const answer = await ask(STREAM, { signal: mine.signal, headers: { accept: "text/event-stream" } });
            if (answer.status === 401) { signIn(token ? "This token is not accepted." : "Seeing this needs a token."); return; }
            if (!answer.ok) throw new Error(answer.status);
            show("live");
            delay = RETRY_MS[0];
            if (wasLost) refresh();
            wasLost = false;
            const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
            for (let text = ""; ;) {
                const { done, value } = await reader.read();
                if (done) break;
                clearTimeout(alive);
                alive = setTimeout(() => mine.abort(), SILENCE_MS);
                text += value;
                const events = text.split("\n\n");
                text = events.pop();
                events.forEach(heard);
            }
        } catch { /* It is tried again below. */ }
        clearTimeout(alive);
        if (stream !== mine) return;
        wasLost = true;
        show("lost");
        setTimeout(() => { if (stream === mine) listen(); }, delay * (0.5 + Math.random() / 2));
        delay = Math.min(delay * 2, RETRY_MS[1]);
    }

    function heard(event) {
        const field = (name) => event.split("\n").filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
        if (field("event") === "") return;
        if (field("event") === "deployment") {
            try { tell(JSON.parse(field("data"))); } catch { /* Then it is only seen. */ }
        }
        soon();
    }

    function show(state) {
        const says = still ? "Held still" : { begun: "Connecting …", live: "Live", lost: "Reconnecting …" }[state];
        const it = one("#live");
        it.hidden = false;
        it.dataset.state = still ? "still" : state;
        it.textContent = says;
    }

    // ---- News, for whoever does not see the page

    const told = new Map();
    let news = [], newsTimer = 0;

    function tell(it) {
        const says = it.outcome ?? it.stage;
        if (still || told.get(it.id) === says) return;
        told.set(it.id, says);
        if (told.size > 500) told.delete(told.keys().next().value);
        const name = String(it.target).split("/").pop();
        news.push(`${name}: ${words(says)}${it.cause ? `, ${words(it.cause)}` : ""}`);
        newsTimer ||= setTimeout(() => {
            const more = news.length > 3 ? `, and ${news.length - 3} more changes` : "";
            one("#news").textContent = news.slice(-3).join("; ") + more;
            news = []; newsTimer = 0;
        }, NEWS_MS);
    }

    // ---- Acting

    const dialog = (id) => document.getElementById(id);

    function allow(within = document) {
        for (const it of all(".acts", within)) it.hidden = !(token && mayAct);
        one("#sign").textContent = token ? "Sign out" : "Sign in";
    }

    function say(text) {
        const it = one("#said");
        it.textContent = text;
        it.hidden = text === "";
    }

    function complain(box, text) {
        const it = one("[role=alert]", box);
        it.textContent = text;
        it.hidden = text === "";
    }

    function signIn(why = "") {
        const box = dialog("sign-in");
        if (box.open) return;
        complain(box, why);
        one("form", box).reset();
        box.showModal();
    }

    async function problem(answer) {
        const said = await answer.json().catch(() => ({}));
        const detail = said.detail ?? said.title ?? `the daemon answered ${answer.status}`;
        if (answer.status === 401) return `This token is not accepted: ${detail}.`;
        if (answer.status === 429) return `Too many requests: ${detail}.`;
        return sentence(detail);
    }

    const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

    async function trySign(box) {
        const before = token;
        token = one("input", box).value.trim();
        try {
            const seen = await ask("/api/v1/me", { signal: AbortSignal.timeout(PATIENCE_MS) });
            if (!seen.ok) throw new Error(await problem(seen));
            const me = await seen.json();
            mayAct = me.may_change;
            store.set("token", token);
            store.set("acts", mayAct ? "yes" : null);
            box.close();
            allow();
            say(`Signed in as ${me.name}. ${me.why_not ? sentence(me.why_not) : "The token is kept until this tab is closed."}`);
            listen();
            refresh({ always: true });
        } catch (why) {
            token = before;
            complain(box, why.name === "TimeoutError" || why instanceof TypeError ? "The daemon does not answer." : why.message);
        }
    }

    // ---- What is for machines: a link cannot carry the token

    const forMachines = 'a[href^="/api/"], a[href="/metrics"], a[href="/openapi.json"]';
    let saved = "";

    async function showRaw(link) {
        const path = link.getAttribute("href");
        try {
            const answer = await ask(path, { signal: AbortSignal.timeout(PATIENCE_MS) });
            if (!answer.ok) { say(await problem(answer)); return; }
            const text = await answer.text();
            const isJson = (answer.headers.get("content-type") ?? "").includes("json");
            one("#raw-title").textContent = path;
            one("#raw-text").textContent = isJson ? JSON.stringify(JSON.parse(text), null, 2) : text;
            URL.revokeObjectURL(saved);
            saved = URL.createObjectURL(new Blob([text], { type: isJson ? "application/json" : "text/plain" }));
            one("#raw-save").href = saved;
            one("#raw-save").download = `${path.split("?")[0].split("/").pop()}.${isJson ? "json" : "txt"}`;
            dialog("raw").showModal();
        } catch { say("The daemon does not answer."); }
    }

    let act = null;
    // The way that was last shown, and of what: nothing else is gone.
    let foreseen = null;

    const wantedTo = () => one("#confirm [name=to]").value.trim();
    const isForeseen = () => act.dataset.foresees === undefined || (foreseen?.way && foreseen.to === wantedTo());

    function would(...parts) {
        const it = one("#confirm-would");
        it.replaceChildren(...parts);
        it.hidden = parts.length === 0;
        one("#confirm-do").textContent = isForeseen() ? act.dataset.does : "Look first";
    }

    // A definition with the tag and the digest of each of its images.
    function ran(definition, images) {
        const part = ({ image, digest }) => {
            const [name, pinned] = image.split("@");
            const tag = name.split("/").pop().split(":")[1];
            const known = digest ?? pinned;
            return [tag, known && known.slice(0, "sha256:".length + 12)].filter(Boolean).join(", ");
        };
        const told = images.map(part).filter(Boolean).join("; ");
        return told === "" ? definition : `${definition} (${told})`;
    }

    async function foresee(box) {
        const { path, body } = act.dataset;
        const mine = foreseen = { to: wantedTo(), way: null };
        const wanted = { ...JSON.parse(body), dry_run: true };
        if (mine.to !== "") wanted.to = mine.to;
        complain(box, "");
        would("Looking where that leads …");
        try {
            const answer = await ask(path, {
                method: "POST", body: JSON.stringify(wanted), headers: { "content-type": "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS),
            });
            if (foreseen !== mine) return;
            if (!answer.ok) { would(); complain(box, await problem(answer)); return; }
            mine.way = await answer.json();
            const list = document.createElement("dl");
            list.className = "facts";
            for (const [name, text] of [["From", ran(mine.way.from, mine.way.from_images)], ["To", ran(mine.way.to, mine.way.to_images)]]) {
                for (const [tag, says] of [["dt", name], ["dd", text]]) list.append(Object.assign(document.createElement(tag), { textContent: says }));
            }
            would(list);
        } catch {
            if (foreseen === mine) { would(); complain(box, "The daemon does not answer."); }
        }
    }

    function confirmFirst(button) {
        act = button;
        const { title, says, does, asks = "" } = button.dataset;
        const box = dialog("confirm");
        one("#confirm-title").textContent = title;
        one("#confirm-says").textContent = says;
        one("#confirm-do").textContent = does;
        one("form", box).reset();
        for (const field of all("[data-field]", box)) field.hidden = !asks.split(" ").includes(field.dataset.field);
        complain(box, "");
        foreseen = null;
        would();
        box.showModal();
        if (!isForeseen()) foresee(box);
    }

    // What is otherwise than whoever asked would think.
    function besides({ kept_reason: kept, left = [], without_effect: vain = [] }) {
        const said = [...left, ...vain].map(({ id, why }) => `${id}: ${sentence(why)}`);
        if (typeof kept === "string") said.push(kept === "" ? "The tag keeps nothing of the reason." : `The tag keeps of the reason: "${kept}".`);
        return said.slice(0, 3);
    }

    async function perform(box) {
        if (!isForeseen()) { await foresee(box); return; }
        const { path, body = "{}", title, asks = "" } = act.dataset;
        const wanted = JSON.parse(body);
        for (const field of all("[data-field] input", box)) {
            const value = field.value.trim();
            if (value !== "" && asks.split(" ").includes(field.name)) wanted[field.name] = value;
        }
        // What was shown is done, whatever has become the last good one since; but for a digest, the revision says it all.
        const way = foreseen?.way;
        if (way && Object.keys(way.images).length === 0) wanted.to = way.to;
        const button = one("#confirm-do");
        button.disabled = true;
        try {
            const answer = await ask(path, {
                method: "POST", body: JSON.stringify(wanted), headers: { "content-type": "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS),
            });
            if (!answer.ok) { complain(box, await problem(answer)); return; }
            box.close();
            const told = await answer.json().catch(() => ({}));
            say([`${title.slice(0, -1)}: it was asked for. What becomes of it is shown here.`, ...besides(told)].join(" "));
            soon();
        } catch (why) {
            complain(box, why.name === "TimeoutError" ? "There was no answer in time. Look whether it was done before asking again." : "The daemon does not answer.");
        } finally {
            button.disabled = false;
        }
    }

    // ---- The beginning

    function begin() {
        document.documentElement.classList.add("js");
        for (const it of all("#hold, #sign")) it.hidden = false;
        const hold = one("#hold");
        const held = () => { hold.setAttribute("aria-pressed", String(still)); };
        held();
        hold.addEventListener("click", () => {
            still = !still;
            store.set("still", still ? "" : null);
            held();
            show(wasLost ? "lost" : "live");
            if (!still) refresh();
        });
        one("#sign").addEventListener("click", () => {
            if (!token) { signIn(); return; }
            token = null;
            store.set("token", null);
            store.set("acts", null);
            allow();
            say("Signed out.");
        });
        document.addEventListener("click", (event) => {
            const button = event.target.closest?.("[data-act]");
            if (button) confirmFirst(button);
            const link = event.target.closest?.(forMachines);
            if (link && token && !(event.ctrlKey || event.metaKey || event.shiftKey)) { event.preventDefault(); showRaw(link); }
            if (event.target.closest?.("[data-close]")) event.target.closest("dialog").close();
        });
        for (const [id, does] of [["sign-in", trySign], ["confirm", perform]]) {
            one("form", dialog(id)).addEventListener("submit", (event) => { event.preventDefault(); does(dialog(id)); });
        }
        one("#confirm [name=to]").addEventListener("input", () => { foreseen = null; would(); });
        document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
        addEventListener("pagehide", () => stream?.abort());
        addEventListener("pageshow", (event) => { if (event.persisted) { listen(); refresh(); } });
        setInterval(() => soon(), AGES_MS);
        allow();
        show("begun");
        listen();
        if (one("#sorry")) refresh({ always: true });
    }

    begin();
})();
