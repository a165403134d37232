"use strict";
// The page asks the JSON API once a second and draws what it answers. Every text
// goes in through textContent: statements and names are users' data.

const $ = (id) => document.getElementById(id);
const shown = 200; // rows of ranges, statements and sessions that are drawn
const seconds = 120; // what the chart holds
const history = []; // {t, reads, writes}, by answer of the overview
let last = null; // the last overview
let perNode = new Map(); // node -> {statements: per second, sessions, uptime}

function el(tag, cls, text) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
}

const num = (v) => (v ?? 0).toLocaleString("en", { maximumFractionDigits: v > 0 && v < 10 ? 1 : 0 });
const bytes = (v) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (v >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return num(v) + " " + units[i];
};
const latency = (s) => (s >= 1 ? num(s) + " s" : s >= 0.001 ? num(s * 1e3) + " ms" : num(s * 1e6) + " µs");
const span = (s) => {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (s >= 2 * size) return Math.floor(s / size) + " " + unit;
  return Math.max(0, Math.floor(s)) + " s";
};
const since = (time) => span((last.nowMillis - Date.parse(time)) / 1000);

// table fills a table: columns are [title, class, cell], cell giving text or a node.
function table(id, columns, rows, empty) {
  const head = el("tr"), body = [];
  for (const [title, cls] of columns) head.append(el("th", cls === "n" ? "n" : "", title));
  for (const r of rows) {
    const tr = el("tr");
    for (const [, cls, cell] of columns) {
      const v = cell(r), td = el("td", cls);
      if (v instanceof Node) td.append(v); else td.textContent = v;
      tr.append(td);
    }
    body.push(tr);
  }
  if (!rows.length) {
    const tr = el("tr"), td = el("td", "empty", empty);
    td.colSpan = columns.length;
    tr.append(td);
    body.push(tr);
  }
  $(id).replaceChildren(head, ...body);
}

function tile(value, label, bad) {
  const d = el("div", bad ? "tile alarm" : "tile");
  d.append(el("b", "", value), el("span", "", label));
  return d;
}

// clipped is text that is cut where it gets long; the whole is its tooltip.
function clipped(cls, text) {
  const d = el("div", cls, text);
  d.title = text;
  return d;
}

function replicas(r) {
  const box = el("span", "reps");
  for (const n of [...r.replicas, ...r.learners].sort((a, b) => a - b)) {
    let cls = "rep", what = "replica";
    if (n === r.leaseholder) { cls += " lease"; what = "leaseholder"; }
    if (r.behind.includes(n)) { cls += " behind"; what += ", behind"; }
    if (r.learners.includes(n)) { cls += " learner"; what = "learner"; }
    const b = el("span", cls, "n" + n);
    b.title = `n${n}: ${what}`;
    box.append(b);
  }
  return box;
}

function tables(r) {
  const names = r.tables.map((n) => n.replace(/^defaultdb\.public\./, ""));
  const all = names.concat(r.tableCount > names.length ? [`and ${r.tableCount - names.length} more`] : []);
  const text = all.slice(0, 2).join(", ") + (all.length > 2 ? ` and ${r.tableCount - 2} more` : "");
  const d = el("div", "tables", text);
  d.title = all.join("\n");
  return d;
}

// ceiling is a round number at or above v, for the top of the chart.
function ceiling(v) {
  const p = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((f) => f * p).find((c) => c >= v);
}

function svg(tag, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

function chart() {
  const top = ceiling(Math.max(10, ...history.map((h) => Math.max(h.reads, h.writes)))), now = history.at(-1)?.t ?? 0;
  const y = (v) => (135 - (v / top) * 130).toFixed(1);
  const line = (key) => svg("polyline", { class: key,
    points: history.map((h) => `${(600 - ((now - h.t) / seconds) * 600).toFixed(1)},${y(h[key])}`).join(" ") });
  const grid = [0, 0.5, 1].map((f) => svg("line", { class: "grid", x1: 0, x2: 600, y1: y(f * top), y2: y(f * top) }));
  $("chart").replaceChildren(...grid, line("reads"), line("writes"));
  $("axis").replaceChildren(...[1, 0.5, 0].map((f) => el("span", "", num(f * top))));
  const h = history.at(-1) ?? { reads: 0, writes: 0 };
  $("reads").textContent = `reads ${num(h.reads)}/s`;
  $("writes").textContent = `writes ${num(h.writes)}/s`;
}

// get asks the API. Where the cluster does not answer, the node tells what it knows
// by itself, and why.
async function get(path) {
  const r = await fetch("api/v1/" + path);
  const v = await r.json().catch(() => ({ error: r.statusText }));
  if (!r.ok && v.partial === undefined) throw new Error(v.error ?? r.status);
  return r.ok ? { value: v } : { value: v.partial, error: v.error };
}

// rates takes the differences between two overviews. A node that restarted counts
// from its new start.
function rates(o) {
  const before = new Map((last?.nodes ?? []).map((n) => [n.node, n])), next = new Map();
  const sum = { t: o.nowMillis / 1000, reads: 0, writes: 0 };
  for (const n of o.nodes) {
    const old = before.get(n.node), c = n.counters;
    const known = old && old.uptimeSeconds < n.uptimeSeconds;
    const s = known ? n.uptimeSeconds - old.uptimeSeconds : n.uptimeSeconds, b = known ? old.counters : {};
    const rate = (key) => (old ? Math.max(0, c[key] - (b[key] ?? 0)) / s : 0);
    sum.reads += rate("reads");
    sum.writes += rate("writes");
    next.set(n.node, { statements: rate("reads") + rate("writes") + rate("others"), sessions: c.sessions, uptime: n.uptimeSeconds });
  }
  if (last && o.nowMillis > last.nowMillis) history.push(sum);
  while (history.length && history[0].t < sum.t - seconds) history.shift();
  last = o;
  perNode = next;
}

function drawNodes(nodes, insecure) {
  const state = (n) => !n.live ? ["bad", "dead"] : n.draining ? ["warn", "draining"] : n.decommissioning ? ["warn", "decommissioning"] : ["ok", "live"];
  const link = (n) => {
    if (!n.httpAddr || n.id === last.node) return n.httpAddr || "none";
    const a = el("a", "", n.httpAddr);
    a.href = (insecure ? "http://" : "https://") + n.httpAddr;
    return a;
  };
  const of = (n, key, f) => (perNode.has(n.id) ? f(perNode.get(n.id)[key]) : "–");
  table("nodes", [
    ["Node", "", (n) => "n" + n.id], ["State", "", (n) => el("span", ...state(n))], ["Address", "", (n) => n.rpcAddr], ["SQL", "", (n) => n.sqlAddr],
    ["Dashboard", "", link], ["Locality", "", (n) => n.locality], ["Version", "", (n) => n.version],
    ["Up", "n", (n) => of(n, "uptime", span)], ["Replicas", "n", (n) => num(n.replicas)], ["Leases", "n", (n) => num(n.leases)], ["Data", "n", (n) => bytes(n.bytes)],
    ["Sessions", "n", (n) => of(n, "sessions", num)], ["Statements/s", "n", (n) => of(n, "statements", num)]], nodes, "No node is known yet.");
}

function drawRanges(ranges) {
  $("rangeCount").textContent = ranges.length > shown ? `the first ${shown} of ${num(ranges.length)}` : "";
  table("ranges", [
    ["Range", "", (r) => "r" + r.id], ["Start", "k", (r) => clipped("key", r.start)], ["End", "k", (r) => clipped("key", r.end)], ["Tables", "", tables],
    ["Replicas", "", replicas], ["Leader", "", (r) => (r.leader ? "n" + r.leader : el("span", "bad", "none"))], ["Term", "n", (r) => num(r.term)],
    ["Applied", "n", (r) => num(r.applied)], ["Size", "n", (r) => bytes(r.bytes)], ["Keys", "n", (r) => num(r.keys)],
    ["Reads/s", "n", (r) => num(r.readsPerSecond)], ["Writes/s", "n", (r) => num(r.writesPerSecond)]], ranges.slice(0, shown), "No range is known yet.");
}

function drawActivity(statements, sessions, transactions) {
  table("statements", [
    ["Statement", "k", (s) => clipped("statement", s.query)], ["Node", "", (s) => "n" + s.node], ["Database", "", (s) => s.database], ["Calls", "n", (s) => num(s.calls)],
    ["Calls/s", "n", (s) => num(s.callsPerSecond)], ["Mean", "n", (s) => latency(s.meanSeconds)], ["p99", "n", (s) => latency(s.p99Seconds)],
    ["Rows", "n", (s) => num(s.rows)], ["Errors", "n", (s) => el("span", s.errors ? "bad" : "", num(s.errors))], ["Retries", "n", (s) => num(s.retries)]],
    statements.sort((a, b) => b.calls * b.meanSeconds - a.calls * a.meanSeconds).slice(0, 30), "No statement has run yet.");
  table("sessions", [
    ["Node", "", (s) => "n" + s.node], ["PID", "n", (s) => String(s.pid)], ["User", "", (s) => s.user], ["Database", "", (s) => s.database],
    ["Application", "", (s) => s.application], ["Client", "", (s) => s.client], ["State", "", (s) => s.state], ["Connected", "n", (s) => since(s.started)],
    ["Last statement", "k", (s) => clipped("statement", s.query)]], sessions.slice(0, shown), "Nobody is connected.");
  table("transactions", [
    ["Node", "", (t) => "n" + t.node], ["Session", "n", (t) => String(t.sessionPID)], ["Isolation", "", (t) => t.isolation], ["Age", "n", (t) => since(t.started)],
    ["Buffered writes", "n", (t) => num(t.bufferedWrites)], ["Buffer", "n", (t) => bytes(t.bufferBytes)], ["Ranges", "n", (t) => num(t.ranges)],
    ["Restarts", "n", (t) => num(t.restarts)], ["Id", "k", (t) => t.id]], transactions.slice(0, shown), "No transaction is open.");
}

async function refresh() {
  try {
    const answers = await Promise.all(["overview", "nodes", "ranges", "statements", "sessions", "transactions"].map(get));
    const [o, nodes, ranges, statements, sessions, transactions] = answers.map((a) => a.value);
    const trouble = answers.find((a) => a.error);
    $("trouble").hidden = !trouble;
    $("trouble").textContent = trouble ? `Some ranges do not answer (${trouble.error}). Nodes and ranges are shown as n${o.node} knows them by itself.` : "";
    rates(o);
    $("who").textContent = `node n${o.node} of cluster ${o.cluster} · ${o.version}`;
    $("insecure").hidden = !o.insecure;
    $("state").className = o.draining ? "lost" : "";
    $("state").textContent = o.draining ? "draining" : o.ready ? "serving" : "not serving yet";
    const live = nodes.filter((n) => n.live).length, behind = ranges.filter((r) => r.behind.length).length, headless = ranges.filter((r) => !r.leader).length;
    const now = [...perNode.values()];
    $("tiles").replaceChildren(
      tile(live + " / " + nodes.length, "nodes live", live < nodes.length), tile(num(ranges.length), "ranges"),
      tile(num(behind), "ranges with a replica behind", behind), tile(num(headless), "ranges without a leader", headless),
      tile(num(now.reduce((s, n) => s + n.statements, 0)), "statements per second"), tile(num(now.reduce((s, n) => s + n.sessions, 0)), "sessions"),
      tile(bytes(ranges.reduce((s, r) => s + r.bytes, 0)), "data, before replication"));
    chart();
    drawNodes(nodes, o.insecure);
    drawRanges(ranges);
    drawActivity(statements, sessions, transactions);
  } catch (e) {
    $("state").className = "lost";
    $("state").textContent = "no answer: " + e.message;
  }
  setTimeout(refresh, document.hidden ? 10000 : 1000);
}
document.addEventListener("visibilitychange", () => { history.length = 0; });
refresh();
