"use strict";
(() => {
const EVERY_MS = 1000, PATIENCE_MS = 8000, KEPT_MS = 300000, OVER_MS = 15000, NEAR = 0.8, NEAR_ASKED = 50, NEAR_SHOWN = 10;
const CAP = "capacity of this hour";
const $ = (id) => document.getElementById(id);
const at = {status: null, near: [], limits: null, latest: [], audit: [], beside: null, silent: null, silentSince: 0, shape: ""};
const kept = [];  // totals of the last five minutes, one each second
const due = {};   // when to ask again for what is not asked each second
let timer = 0, round = 0;

// words

function count(n, what, many) { return `${n.toLocaleString("en")} ${n === 1 ? what : many || what + "s"}`; }
function tokens(n) {
  for (const [scale, letter] of [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
    if (n >= scale) { return Number((n / scale).toPrecision(3)) + letter; }
  }
  return String(n);
}
function clock(ms) {
  const iso = new Date(ms).toISOString();
  const today = iso.slice(0, 10) === new Date(at.status ? at.status.now_ms : Date.now()).toISOString().slice(0, 10);
  return (today ? "" : iso.slice(0, 10) + " ") + iso.slice(11, 19) + " UTC";
}
function lasting(s) {
  const whole = Math.max(Math.round(s), 0);
  for (const [size, unit, part, smaller] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    const rest = Math.floor(whole % size / part);
    if (whole >= size) { return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${smaller}` : ""}`; }
  }
  return `${whole} s`;
}
function until(ms) { return `${clock(ms)}, in ${lasting((ms - at.status.now_ms) / 1000)}`; }
function back(ms) { return `in ${lasting((ms - at.status.now_ms) / 1000)}, ${new Date(ms).toISOString().slice(11, 16)} UTC`; }
function seconds(ms) {
  if (ms === null) { return "–"; }
  return ms >= 995 ? `${Number((ms / 1000).toPrecision(2))} s` : `${Number(ms.toPrecision(2))} ms`;
}
function percent(share) {  // what is not all of it is never 100 %
  return `${share > 0 && share < 0.01 ? (100 * share).toFixed(1) : share < 1 ? Math.min(Math.round(100 * share), 99) : Math.round(100 * share)} %`;
}
function listed(words) { return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`; }
function capital(words) { return words.charAt(0).toUpperCase() + words.slice(1); }

// figures

function sum(lists) { return lists.reduce((all, one) => one.map((n, i) => n + (all[i] || 0)), []); }
function less(now, before) { return now.map((n, i) => n - (before[i] || 0)); }
function quantile(counts, q, unit) {
  const all = counts.reduce((a, b) => a + b, 0);
  let below = 0;
  for (let i = 0; i < counts.length; i += 1) {
    if (counts[i] && below + counts[i] >= q * all) {
      const low = i ? 2 ** (i - 1) : 0;
      return (i === counts.length - 1 ? low : low + (2 ** i - low) * (q * all - below) / counts[i]) * unit;
    }
    below += counts[i];
  }
  return null;
}
function refusedIn(kind) { return kind.outcomes.refused + kind.outcomes.refused_organization + kind.outcomes.no_capacity; }
function reasons(metrics) {
  const rows = metrics.refusals.map((r) => ({...r, room: false, words: r.window === CAP ? "the hour's capacity cap" : `${r.owner === "organization" ? "their organization's" : "the"} ${r.window} window`}));
  for (const kind of metrics.kinds) {
    const capped = metrics.refusals.filter((r) => r.window === CAP && r.tier === kind.tier && r.alias === kind.alias);
    const rest = kind.outcomes.no_capacity - capped.reduce((n, r) => n + r.count, 0);
    if (rest > 0) { rows.push({tier: kind.tier, alias: kind.alias, count: rest, room: true, words: "no pool had room"}); }
  }
  return rows;
}
function keep(status) {
  const kinds = status.metrics.kinds;
  const one = {
    ms: status.now_ms, began: String([status.started_ms, (status.workers || []).map((w) => w.process)]), flight: status.exchanges, waiting: status.queue.reduce((n, q) => n + q.waiting, 0),
    ttft: sum(kinds.map((k) => k.ttft_ms)), tpot: sum(kinds.map((k) => k.tpot_us)),
    refused: kinds.reduce((n, k) => n + refusedIn(k), 0), admitted: kinds.reduce((n, k) => n + k.outcomes.admitted, 0),
    reasons: reasons(status.metrics),
  };
  if (kept.length && (kept.at(-1).began !== one.began || one.ms < kept.at(-1).ms)) { kept.length = 0; }
  kept.push(one);
  while (kept[0].ms < one.ms - KEPT_MS) { kept.shift(); }
}

// elements, changed in place so that focus and reading stay where they are

function put(element, words) { if (element.textContent !== words) { element.textContent = words; } }
function made(tag, parent, className) {
  const element = parent.appendChild(document.createElement(tag));
  if (className) { element.className = className; }
  return element;
}
function drawn(tag, parent, attributes) {
  const element = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", tag));
  for (const [name, value] of Object.entries(attributes)) { element.setAttribute(name, value); }
  return element;
}
function bar(parent) {
  const svg = drawn("svg", parent, {class: "bar", "aria-hidden": "true"});
  drawn("rect", svg, {width: "0%", height: "100%"});
  return svg;
}
function fill(svg, share) {
  svg.firstChild.setAttribute("width", `${Math.min(Math.max(100 * share, 0), 100)}%`);
  svg.classList.toggle("full", share >= NEAR);
}
function table(place, caption, head, rows, numbers) {
  let box = place.firstElementChild;
  if (!box) {
    box = made("div", place, "box");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    const own = made("table", box);
    made("span", made("caption", own));
    const line = made("tr", made("thead", own));
    head.forEach((words, i) => {
      const cell = made("th", line, i >= numbers ? "number" : "");
      cell.scope = "col";
      cell.textContent = words;
    });
    made("tbody", own);
  }
  box.setAttribute("aria-label", caption);
  put(box.querySelector("caption span"), rows.length ? caption : `${caption}: none`);
  const body = box.querySelector("tbody");
  while (body.rows.length > rows.length) { body.deleteRow(-1); }
  rows.forEach((cells, r) => {
    const line = body.rows[r] || body.insertRow();
    cells.forEach((cell, c) => {
      const found = line.cells[c] || made(c ? "td" : "th", line, c >= numbers ? "number" : "");
      if (!c) {
        found.scope = "row";
        put(found.firstElementChild || made("span", found), cell);
      } else if (typeof cell === "object") {
        if (!found.firstElementChild) { bar(found); made("span", found); }
        fill(found.firstElementChild, cell.share);
        put(found.lastElementChild, percent(cell.share));
      } else { put(found, String(cell)); }
    });
  });
}

// asking

async function ask(path, body) {
  const how = {signal: AbortSignal.timeout(body ? 4 * PATIENCE_MS : PATIENCE_MS), cache: "no-store"};
  if (body) { Object.assign(how, {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body)}); }
  try {
    const answer = await fetch(path, how);
    const data = await answer.json();
    return {status: answer.status, data, words: data.error || ""};
  } catch (error) {
    return {status: 0, data: null, words: error.name === "TimeoutError" ? "no answer in time" : "no connection"};
  }
}
async function now_and_then(name, path, every_ms, put_in) {
  if (performance.now() < (due[name] || 0)) { return; }
  due[name] = performance.now() + every_ms;
  const found = await ask(path);
  if (found.status === 200) { put_in(found.data); }
}
async function turn() {
  clearTimeout(timer);
  const own = round += 1, began = performance.now();
  const found = await ask("api/status");
  if (own !== round) { return; }  // another turn has begun meanwhile
  if (found.status === 401) { asked_to_log_in("The token is not accepted any more; log in again."); return; }
  if (found.status === 200) {
    const before = kept.length ? kept.at(-1).refused : -1;
    at.status = found.data;
    at.silent = null;
    keep(found.data);
    const near_ms = Math.min(Math.max(found.data.subscribers, EVERY_MS), 30000) - 50;
    if (kept.at(-1).refused !== before) { due.latest = Math.min(due.latest || 0, performance.now() + 2000); }
    await Promise.all([
      now_and_then("near", `api/near?top=${NEAR_ASKED}`, near_ms, (d) => { at.near = d; }),
      now_and_then("latest", "api/refusals?most=12", 30000, (d) => { at.latest = d; }),
      now_and_then("limits", "api/limits", 30000, (d) => { at.limits = d; }),
      now_and_then("audit", "api/audit?most=8", 10000, (d) => { at.audit = d; }),
      now_and_then("beside", "api/forecast", 10000, (d) => { at.beside = d; }),
    ]);
  } else {
    if (!at.silent) { at.silentSince = Date.now(); }
    at.silent = {who: found.status === 503 ? "data" : "admin", words: found.words};
  }
  if (own !== round) { return; }
  show();
  timer = setTimeout(turn, Math.max(EVERY_MS - (performance.now() - began), 200));
}

// what is said

function takes(pool) { return pool.state === "open" && (pool.health === "sound" || pool.health === "on trial"); }
function sentence() {
  if (at.silent) {
    const who = at.silent.who === "data" ? "The data process does not answer" : "The admin process does not answer this page";
    const below = at.status ? ` What is below is how it stood at ${clock(at.status.now_ms)}.` : "";
    return `${who}, since ${clock(at.silentSince)} (${at.silent.words}).${below}`;
  }
  const s = at.status, open = s.pools.filter(takes).length, waiting = kept.at(-1).waiting;
  const flight = `${count(s.exchanges, "request")} in flight, ${waiting ? count(waiting, "waits", "wait") : "nobody waits"}`;
  if (s.journal.error !== null) { return `Refusing everything: the journal cannot be written (${s.journal.error}).`; }
  if (s.draining) { return `Stopping: nothing new is taken, ${flight}.`; }
  if (!open) { return `No pool takes requests: new ones are refused; ${flight}.`; }
  const pools = open === s.pools.length ? count(open, "pool") : `from ${open} of ${count(s.pools.length, "pool")}`;
  return `Serving ${pools}, ${flight}.`;
}
function near_sentence() {
  const near = at.near.filter((n) => n.share >= NEAR), gone = near.filter((n) => n.share >= 1);
  if (!near.length) { return "Nobody is within 20 % of a limit."; }
  const first = near[0], more = near.length === NEAR_ASKED ? `at least ${NEAR_ASKED - 1}` : near.length - 1;
  const rest = near.length === 1 ? "" : near.length === 2 ? "; one more is within 20 % of a limit" : `; ${more} more are within 20 % of a limit`;
  if (gone.length) { return `${first.subscriber} has used up the ${first.window} window${rest}.`; }
  return `${first.subscriber} has used ${percent(first.share)} of the ${first.window} window${rest}.`;
}
function refused_sentence() {
  const now = kept.at(-1), before = kept[0], refused = now.refused - before.refused;
  const since = now.ms - before.ms > KEPT_MS - 5000 ? "In the last five minutes" : `Since this page was opened, at ${clock(before.ms)},`;
  const asked = refused + now.admitted - before.admitted;
  if (!asked) { return `${since} nothing was answered or refused.`; }
  if (!refused) { return `${since} nothing was refused, ${count(asked, "request")} answered.`; }
  const same = (a, b) => a.tier === b.tier && a.alias === b.alias && a.words === b.words;
  const by = new Map();
  for (const r of now.reasons) {
    const n = r.count - (before.reasons.find((b) => same(b, r)) || {count: 0}).count;
    if (n > 0) { by.set(r.words, (by.get(r.words) || 0) + n); }
  }
  const told = [...by].sort((a, b) => b[1] - a[1]).map(([words, n]) => (words === "no pool had room" ? `${n} as no pool had room` : `${n} by ${words}`));
  return `${since} ${refused} of ${count(asked, "request")} were refused (${percent(refused / asked)})${told.length ? ": " + listed(told) : ""}.`;
}
function refused_in_all(s) {
  const refused = kept.at(-1).refused, asked = refused + kept.at(-1).admitted;
  if (!asked) { return `Since the data process began, at ${clock(s.started_ms)}, nothing was asked.`; }
  return `Since the data process began, at ${clock(s.started_ms)}, ${refused} of ${count(asked, "request")} ${refused === 1 ? "was" : "were"} refused (${percent(refused / asked)}).`;
}
function pool_sentence(pool) {
  const left = pool.state === "draining" && pool.deadline_ms ? ` until ${until(pool.deadline_ms)}` : "";
  const state = {open: "open", held: "held, takes nothing new", draining: `drains${left}`, gone: "gone"}[pool.state];
  const health = {sound: "sound", full: "asked to be left alone", ejected: "ejected after failures", "on trial": "on trial after failures"}[pool.health];
  const out = pool.out_until_ms ? ` until ${clock(pool.out_until_ms)}` : "";
  const row = pool.failures_in_a_row ? `, ${count(pool.failures_in_a_row, "failure")} in a row` : "";
  return pool.state === "gone" ? "gone" : `${state}; ${health}${out}${row}`;
}

// what is shown

function show() {
  put($("lead"), sentence());
  $("lead").classList.toggle("alarm", Boolean(at.silent) || Boolean(at.status && (at.status.journal.error !== null || !at.status.pools.some(takes))));
  for (const button of document.querySelectorAll("#pool-list button")) { button.disabled = Boolean(at.silent); }
  const s = at.status;
  if (s) {
    document.title = `${at.silent ? "No answer" : `${s.exchanges} in flight`} · ${s.scenario} · Ampacity`;
    put($("name"), s.scenario);
    put($("clock"), clock(s.now_ms));
    const odd = [...s.pools.filter((p) => !takes(p)).map((p) => `${p.name}: ${pool_sentence(p)}.`), ...(s.trouble || []).map((words) => `${words}.`)];
    put($("more"), at.silent ? "" : [near_sentence(), refused_sentence(), ...odd].join(" "));
    show_pools(s);
    show_minutes();
    show_tables(s);
    show_journal(s);
    if ($("confirm").open) { say_fate(); }
  }
  // spoken when something else is the case, not whenever a figure moves
  const words = $("lead").textContent + " " + (s ? near_sentence() : ""), shape = words.replace(/[\d:.,%]+/g, "");
  if (shape !== at.shape) { at.shape = shape; put($("spoken"), words); }
}
const MOVES = {hold: "Hold", drain: "Drain …", reclaim: "Reclaim …", reopen: "Reopen"};
const ALLOWED = {open: ["hold", "drain", "reclaim"], held: ["reopen", "drain", "reclaim"], draining: ["reopen", "drain", "reclaim"], gone: ["reopen"]};
function show_pools(s) {
  const list = $("pool-list");
  for (const item of [...list.children]) { if (!s.pools.some((p) => p.name === item.dataset.pool)) { item.remove(); } }
  for (const pool of s.pools) {
    const item = [...list.children].find((i) => i.dataset.pool === pool.name) || new_pool(list, pool);
    const [name, alias, state, load, backlog] = ["name", "alias", "state", "load", "backlog"].map((c) => item.querySelector("." + c));
    put(name, pool.name);
    put(alias, ` serves ${pool.alias}`);
    put(state, capital(pool_sentence(pool)));
    state.classList.toggle("mark", !takes(pool));
    put(load, `${pool.requests} of ${count(pool.slots, "slot")} in use, ${count(pool.begun, "answer")} begun`);
    fill(item.querySelector("svg"), pool.slots ? pool.requests / pool.slots : 0);
    put(backlog, `backlog ${tokens(pool.backlog_tokens)} prompt tokens, about ${seconds(pool.backlog_tokens * pool.pace_ns / 1e6)} of work · model ${pool.model}`);
    for (const button of item.querySelectorAll("button")) { button.hidden = !ALLOWED[pool.state].includes(button.dataset.move); }
  }
}
function new_pool(list, pool) {
  const item = made("li", list);
  item.dataset.pool = pool.name;
  const head = made("h3", item);
  head.tabIndex = -1;
  made("span", head, "name");
  made("span", head, "alias soft");
  made("p", item, "state");
  bar(item);
  made("p", item, "load");
  made("p", item, "backlog soft");
  const buttons = made("div", item, "buttons");
  for (const [move, words] of Object.entries(MOVES)) {
    const button = made("button", buttons);
    Object.assign(button, {type: "button", textContent: words});
    button.dataset.move = move;
    button.setAttribute("aria-label", `${words.replace(" …", "")} ${pool.name}`);
    button.addEventListener("click", () => open_dialog(pool.name, move));
  }
  return item;
}
function show_minutes() {
  const now = kept.at(-1);
  put($("minutes-since"), `From ${clock(kept[0].ms)} to ${clock(now.ms)}, as this page saw it; quantiles over ${OVER_MS / 1000} s.`);
  let b = 0;
  const over = kept.map((k) => {
    while (b + 1 < kept.length && kept[b + 1].ms <= k.ms - OVER_MS) { b += 1; }
    return kept[b];
  });
  const of = (name, q, unit) => kept.map((k, i) => quantile(less(k[name], over[i][name]), q, unit));
  const plain = (n) => (n === null ? "–" : String(n));
  curve("flight", "Requests", ["in flight", "waiting"], kept.map((k) => k.flight), kept.map((k) => k.waiting), plain);
  curve("ttft", "First token after", ["p50", "p99"], of("ttft", 0.5, 1), of("ttft", 0.99, 1), seconds);
  curve("tpot", "Between two tokens", ["p50", "p99"], of("tpot", 0.5, 1e-3), of("tpot", 0.99, 1e-3), seconds);
}
function curve(name, title, words, one, two, told) {
  let figure = $(`curve-${name}`);
  if (!figure) {
    figure = made("figure", $("curves"));
    figure.id = `curve-${name}`;
    const caption = made("figcaption", figure);
    made("b", caption).textContent = title;
    made("br", caption);
    made("span", caption, "key");
    caption.append(" · ");
    made("span", caption, "key second");
    const svg = drawn("svg", figure, {viewBox: "0 0 300 60", preserveAspectRatio: "none", role: "img"});
    drawn("path", svg, {class: "first"});
    drawn("path", svg, {class: "second"});
    const axis = made("div", figure, "axis soft");
    made("span", axis).textContent = "5 min ago";
    made("span", axis, "most");
    made("span", axis).textContent = "now";
  }
  const most = Math.max(...one.map(Number), ...two.map(Number), 0), end = kept.at(-1).ms;
  const path = (values) => values.map((v, i) => (v === null ? "" :
    `${i && values[i - 1] !== null ? "L" : "M"}${(300 - (end - kept[i].ms) / KEPT_MS * 300).toFixed(1)} ${(57 - (most ? v / most : 0) * 53).toFixed(1)}${i && values[i - 1] !== null ? "" : "h.1"}`)).join("");
  const [first, second] = figure.querySelectorAll(".key");
  put(first, `${words[0]} ${told(one.at(-1))}`);
  put(second, `${words[1]} ${told(two.at(-1))}`);
  put(figure.querySelector(".most"), most ? `highest ${told(most)}` : "");
  const svg = figure.querySelector("svg");
  svg.setAttribute("aria-label", `${title}: ${first.textContent}, ${second.textContent}, ${figure.querySelector(".most").textContent}`);
  svg.children[0].setAttribute("d", path(one));
  svg.children[1].setAttribute("d", path(two));
}
function show_tables(s) {
  const kinds = s.metrics.kinds, waiting = kept.at(-1).waiting;
  put($("queue-said"), `${waiting ? capital(count(waiting, "request waits", "requests wait")) : "Nobody waits"}; there is room for ${count(s.room, "request")}, each for ${lasting(s.wait_most_ms / 1000)} at most.`);
  const kind_of = (row) => kinds.find((k) => k.tier === row.tier && k.alias === row.alias);
  table($("queue-table"), "Requests that wait, by tier", ["tier", "model", "waiting now", "had to wait", "admitted"],
    s.queue.map((q) => { const k = kind_of(q); return [q.tier, q.alias, q.waiting, k ? k.outcomes.queued : 0, k ? k.outcomes.admitted : 0]; }), 2);
  put($("near-said"), near_sentence());
  table($("near-table"), "Who has used most of a window", ["subscriber", "tier", "window", "used", "comes back"],
    at.near.slice(0, NEAR_SHOWN).map((n) => [n.subscriber, n.tier, n.window, {share: n.share}, n.back_ms ? back(n.back_ms) : n.share ? "never" : "nothing in use"]), 5);
  if (at.limits) { show_limits(at.limits); }
  const rows = reasons(s.metrics);
  put($("refused-said"), refused_in_all(s));
  table($("refusal-counts"), "Refusals since the data process began", ["tier", "reason", "model", "refused"],
    rows.sort((a, b) => b.count - a.count).map((r) => [r.tier, r.words, r.alias, r.count]), 3);
  table($("refusal-latest"), "The latest", ["when", "subscriber", "tier", "model", "reason", "request"],
    at.latest.map((r) => [clock(r.now_ms), r.subscriber, r.tier, r.alias, why(r), r.request || "–"]), 6);
  table($("speed-table"), "Medians, and what one in a hundred exceeds", ["tier", "model", "answers", "first token p50", "p99", "between tokens p50", "p99"],
    kinds.map((k) => [k.tier, k.alias, k.answers, seconds(quantile(k.ttft_ms, 0.5, 1)), seconds(quantile(k.ttft_ms, 0.99, 1)),
      seconds(quantile(k.tpot_us, 0.5, 1e-3)), seconds(quantile(k.tpot_us, 0.99, 1e-3))]), 2);
  table($("token-table"), "Tokens that were settled", ["tier", "model", "uncached input", "written to cache", "read from cache", "output"],
    kinds.map((k) => [k.tier, k.alias, ...["uncached", "written", "read", "output"].map((t) => tokens(k.tokens[t]))]), 2);
  show_forecast();
  table($("audit-table"), "The latest, the last first", ["when", "who", "what", "of"], at.audit.map((a) => [clock(a.now_ms), a.who, a.what, a.subject]), 4);
}
function why(refusal) {
  const whose = refusal.outcome.includes("organization") ? "the organization's" : "the";
  if (refusal.window === CAP) { return "the hour's capacity cap"; }
  return refusal.window ? `${whose} ${refusal.window} window` : "no pool had room";
}
function show_limits(told) {
  const users = {};
  for (const tier of told.tiers) { (users[tier.limit] ||= []).push(tier.name); }
  for (const [name, limit] of Object.entries(told.organizations)) { (users[limit] ||= []).push(`organization ${name}`); }
  table($("limit-table"), "Windows of the limits in force", ["limit", "of", "window", "holds", "in", "comes back"],
    Object.entries(told.limits).flatMap(([name, windows]) => (windows.length ? windows : [null]).map((w) => [name, (users[name] || ["nobody"]).join(", "),
      ...(w ? [w.name + (w.aliases ? ` of ${w.aliases.join(", ")}` : ""), w.size === null ? "without bound" : `${tokens(Math.round(w.size))} ${w.counts}`,
        w.length_s === null ? "–" : lasting(w.length_s), w.returns] : ["none", "without bound", "–", "–"])])), 6);
}
function show_forecast() {
  const there = Boolean(at.beside && at.beside.tiers.length);
  $("forecast").hidden = $("to-forecast").hidden = !there;
  if (!there) { return; }
  const share = (x) => (x === null ? "–" : `${(100 * x).toFixed(1)} %`);
  put($("forecast-said"), at.beside.same ? "What ampacity simulate said of this scenario, and what came since the data process began." :
    "What ampacity simulate said of another scenario, or of this one before it was edited: forecast anew to compare.");
  $("forecast-said").classList.toggle("alarm", !at.beside.same);
  table($("forecast-table"), "Forecast and measured, by tier", ["tier", "measured of", "refused", "measured", "first token, p50", "measured", "p99", "measured"],
    at.beside.tiers.map(({tier, forecast: f, measured: m}) => [tier, count(m.requests, "request"), share(f.refused_share), share(m.refused_share),
      seconds(f.ttft_p50_ms), seconds(m.ttft_p50_ms), seconds(f.ttft_p99_ms), seconds(m.ttft_p99_ms)]), 2);
}
function show_journal(s) {
  const j = s.journal, behind = j.last - j.durable;
  put($("journal-said"), j.error !== null ? `The journal cannot be written: ${j.error}. Nothing is admitted until it can.` :
    behind ? `${count(behind, "event")} of ${j.last.toLocaleString("en")} not yet on disk.` : `All ${count(j.last, "event")} of the journal are on disk.`);
  $("journal-said").classList.toggle("alarm", j.error !== null);
  const facts = [["memory", `${Math.round(s.memory_bytes / 1e6)} MB`], ["running for", `${lasting(s.uptime_s)}, as process ${s.workers ? s.workers.map((w) => w.process || "(away)").join(", ") : s.process}`], ["connections", s.connections],
    ["keys in force", `${s.keys}, of ${count(s.subscribers, "subscriber")}`], ["terms", s.terms], ["journal", j.path],
    ["turned away", `${s.metrics.unauthenticated} without a known key, ${s.metrics.malformed} that could not be read`],
    ["not whole", `${s.metrics.cut_short} broken off by a pool, ${s.metrics.left} left by the client, ${s.cut_off} cut by an earlier end`]];
  const list = $("facts");
  facts.forEach(([name, value], i) => {
    if (!list.children[2 * i]) { made("dt", list); made("dd", list); }
    put(list.children[2 * i], name);
    put(list.children[2 * i + 1], String(value));
  });
}

// what an operator does

let asked = null;
function deadline_s() { return asked.move === "drain" || asked.move === "reclaim" ? Number($("deadline").value) * Number($("unit").value) : 0; }
function open_dialog(pool, move) {
  asked = {pool, move};
  const timed = move === "drain" || move === "reclaim";
  put($("confirm-h"), `${MOVES[move].replace(" …", "")} ${pool}?`);
  put($("confirm-yes"), `${MOVES[move].replace(" …", "")} ${pool}`);
  $("confirm-time").hidden = $("deadline").disabled = !timed;
  put($("deadline-of"), move === "drain" ? "It is to be gone within" : "Notice (0: at once)");
  $("deadline").min = move === "drain" ? 1 : 0;
  $("deadline").value = move === "drain" ? 10 : 0;
  $("confirm-what").replaceChildren();
  say_fate();
  $("confirm").showModal();
  (timed ? $("deadline") : $("confirm-no")).focus();
}
function say_fate() {
  const pool = at.status.pools.find((p) => p.name === asked.pool);
  if (!pool) { return; }
  const lines = fate(pool, asked.move, deadline_s()), place = $("confirm-what");
  while (place.children.length > lines.length) { place.lastChild.remove(); }
  lines.forEach((words, i) => put(place.children[i] || made("p", place), words));
}
function fate(pool, move, within_s) {
  const n = pool.requests, fresh = Math.max(n - pool.begun, 0), begun = count(pool.begun, "answer");
  const elsewhere = at.status.pools.some((p) => p.alias === pool.alias && p.name !== pool.name && takes(p));
  const on = elsewhere ? ["goes to another pool or waits", "go to another pool or wait"] : ["waits", "wait"];
  const cut = (when) => (n ? `${when} ${begun} that ${pool.begun === 1 ? "has" : "have"} begun ${pool.begun === 1 ? "is" : "are"} cut: clients keep what has come. ${capital(count(fresh, "request"))} without a first byte ${fresh === 1 ? on[0] : on[1]} again.` : "It has no request in flight.");
  if (move === "reopen") { return [`It takes requests again, and those that wait for ${pool.alias} go there as far as its ${count(pool.slots, "slot")} reach.`]; }
  const rest = others(pool);
  if (move === "hold") { return [`It takes nothing new from now on. ${n ? `Its ${count(n, "request")} in flight ${n === 1 ? "goes" : "go"} on to ${n === 1 ? "its" : "their"} end.` : "It has no request in flight."}`, rest]; }
  if (!within_s) { return [`It is gone at once. ${cut("At this moment")}`, rest]; }
  return [`It takes nothing new from now on. ${n ? `Its ${count(n, "request")} in flight ${n === 1 ? "has" : "have"} ${lasting(within_s)} to end.` : "It has no request in flight."}`,
    n ? `What has not ended by ${clock(at.status.now_ms + 1000 * within_s)} meets this: ${cut("if it were now,")}` : "It is gone when that time is over.", rest];
}
function others(pool) {
  const rest = at.status.pools.filter((p) => p.alias === pool.alias && p.name !== pool.name && takes(p));
  const waiting = at.status.services.find((s) => s.alias === pool.alias).waiting;
  if (rest.length) {
    const free = rest.reduce((n, p) => n + Math.max(p.slots - p.requests, 0), 0);
    const planned = at.limits && at.limits.notes.scenario ? " Limits are planned anew for the pools that are left." : "";
    return `${count(rest.length, "other pool")} ${rest.length === 1 ? "serves" : "serve"} ${pool.alias}, with ${count(free, "free slot")}.${planned}`;
  }
  const those = waiting ? ` The ${count(waiting, "request")} that wait${waiting === 1 ? "s" : ""} for it ${waiting === 1 ? "is" : "are"} refused when ${lasting(at.status.wait_most_ms / 1000)} are over.` : "";
  return `No other pool serves ${pool.alias}: new requests for it are refused until one does.${those}`;
}
async function do_it() {
  const {pool, move} = asked, within_s = deadline_s(), before = at.status.pools.find((p) => p.name === pool);
  const body = {pool, action: move};
  if (move === "drain" || within_s) { body.deadline_s = within_s; }
  const found = await ask("api/pool", body);
  $("told").classList.toggle("no", found.status !== 200);
  put($("told"), found.status === 200 ? result(found.data, before, move, within_s) : `Not done: ${found.words}.`);
  due.audit = due.latest = 0;
  turn();
}
function result(pool, before, move, within_s) {
  const n = count(pool.requests, "request");
  const now = `(${clock(Date.now())})`;
  if (pool.state === "gone") { return `${pool.name} is gone. It had ${count(before.requests, "request")} in flight, ${count(before.begun, "answer")} of them begun and now cut. ${now}`; }
  if (pool.state === "draining") { return `${pool.name} drains until ${clock(pool.deadline_ms)}, for ${lasting(within_s)}: ${n} in flight, nothing new. ${now}`; }
  if (pool.state === "held") { return `${pool.name} is held: ${n} in flight go on, nothing new. ${now}`; }
  return `${pool.name} takes requests${move === "reopen" ? " again" : ""}: ${n} in flight. ${now}`;
}

// who is there

function asked_to_log_in(why) {
  clearTimeout(timer);
  round += 1;
  if ($("confirm").open) { $("confirm").close(); }
  $("live").hidden = true;
  $("login").hidden = false;
  document.title = "Log in · Ampacity";
  put($("login-said"), why);
  $("token").focus();
}
function begin() {
  $("login").hidden = true;
  $("live").hidden = false;
  turn();
}
$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const found = await ask("login", {token: $("token").value});
  $("token").value = "";
  if (found.status === 200) { begin(); return; }
  asked_to_log_in(found.status === 401 ? "That is not the admin token of this service." : `Not logged in: ${found.words}.`);
});
$("logout").addEventListener("click", async () => { await ask("logout", {}); location.reload(); });
$("confirm-no").addEventListener("click", () => $("confirm").close());
$("confirm-form").addEventListener("submit", () => do_it());
for (const id of ["deadline", "unit"]) { $(id).addEventListener("input", say_fate); }
$("confirm").addEventListener("close", () => {
  const item = [...$("pool-list").children].find((i) => i.dataset.pool === asked.pool);
  if (item && (document.activeElement === document.body || document.activeElement.hidden)) { item.querySelector("h3").focus(); }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && !$("live").hidden) { turn(); } });
if (document.body.dataset.known === "yes") { begin(); } else { asked_to_log_in(""); }
})();
