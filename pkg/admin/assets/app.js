"use strict";
// The page asks the JSON API once a second and draws what it answers. Every text
// goes in through textContent: statements and names are users' data.

const $ = (id) => document.getElementById(id);
const history = []; // {t, reads, writes} per second, two minutes
let last = null;

function el(tag, cls, text) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
}

const num = (v) => (v ?? 0).toLocaleString("en", { maximumFractionDigits: v < 10 ? 1 : 0 });
const bytes = (v) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (v >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return num(v) + " " + units[i];
};
const ms = (s) => num(s * 1000) + " ms";

// table fills a table: columns are [title, class, cell], cell giving text or a node.
function table(id, columns, rows, empty) {
  const t = $(id), head = el("tr"), body = [];
  for (const [title, cls] of columns) head.append(el("th", cls === "n" ? "n" : "", title));
  for (const r of rows) {
    const tr = el("tr");
    for (const [, cls, cell] of columns) {
      const v = cell(r);
      const td = el("td", cls);
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
  t.replaceChildren(head, ...body);
}

function tile(value, label) {
  const d = el("div", "tile");
  d.append(el("b", "", value), el("span", "", label));
  return d;
}

function replicas(r) {
  const box = el("span");
  for (const n of [...(r.replicas ?? []), ...(r.learners ?? [])].sort((a, b) => a - b)) {
    let cls = "rep";
    if (n === r.leaseholder) cls += " lease";
    if ((r.behind ?? []).includes(n)) cls += " behind";
    if ((r.learners ?? []).includes(n)) cls += " learner";
    box.append(el("span", cls, "n" + n));
  }
  return box;
}

function chart() {
  const svg = $("chart"), peak = Math.max(1, ...history.map((h) => Math.max(h.reads, h.writes)));
  const line = (key) => {
    const p = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    p.setAttribute("class", key);
    p.setAttribute("points", history.map((h, i) => `${600 - (history.length - 1 - i) * 5},${118 - (h[key] / peak) * 112}`).join(" "));
    return p;
  };
  svg.replaceChildren(line("reads"), line("writes"));
  $("peak").textContent = "peak " + num(peak) + "/s";
}

async function get(path) {
  const r = await fetch("api/v1/" + path);
  const v = await r.json();
  if (!r.ok) throw new Error(v.error ?? r.status);
  return v ?? [];
}

function rates(o) {
  const c = o.counters;
  if (last && o.nowMillis > last.nowMillis) {
    const s = (o.nowMillis - last.nowMillis) / 1000;
    history.push({ reads: (c.reads - last.counters.reads) / s, writes: (c.writes - last.counters.writes) / s });
    if (history.length > 120) history.shift();
  }
  last = o;
  return history.at(-1) ?? { reads: 0, writes: 0 };
}

async function refresh() {
  try {
    const [o, nodes, ranges, statements, sessions] = await Promise.all(["overview", "nodes", "ranges", "statements", "sessions"].map(get));
    const rate = rates(o);
    $("who").textContent = `node n${o.node} of cluster ${o.cluster} · ${o.version}`;
    $("insecure").hidden = !o.insecure;
    $("state").className = "";
    $("state").textContent = o.ready ? "serving" : "not serving yet";
    const under = ranges.filter((r) => (r.behind ?? []).length).length;
    $("tiles").replaceChildren(
      tile(nodes.filter((n) => n.Live).length + " / " + nodes.length, "nodes live"),
      tile(num(ranges.length), "ranges"), tile(num(under), "ranges with a replica behind"),
      tile(num(rate.reads + rate.writes), "statements per second"), tile(num(sessions.length), "sessions"),
      tile(bytes(ranges.reduce((s, r) => s + r.bytes, 0)), "data, before replication"));
    chart();
    table("nodes", [
      ["Node", "", (n) => "n" + n.ID], ["Address", "", (n) => n.RPCAddr], ["SQL", "", (n) => n.SQLAddr],
      ["Live", "", (n) => el("span", n.Live ? "ok" : "bad", n.Live ? (n.Draining ? "draining" : n.Decommissioning ? "decommissioning" : "live") : "dead")],
      ["Replicas", "n", (n) => num(n.Ranges)], ["Leases", "n", (n) => num(n.Leases)], ["Data", "n", (n) => bytes(n.Bytes)],
      ["Locality", "", (n) => n.Locality], ["Version", "", (n) => n.Version]], nodes, "No node is known yet.");
    table("ranges", [
      ["Range", "", (r) => "r" + r.id], ["Start", "k", (r) => r.start], ["End", "k", (r) => r.end], ["Replicas", "", replicas],
      ["Leader", "", (r) => (r.leader ? "n" + r.leader : "none")], ["Term", "n", (r) => num(r.term)], ["Applied", "n", (r) => num(r.applied)],
      ["Size", "n", (r) => bytes(r.bytes)], ["Keys", "n", (r) => num(r.keys)],
      ["Reads/s", "n", (r) => num(r.readsPerSecond)], ["Writes/s", "n", (r) => num(r.writesPerSecond)]], ranges, "No range is known yet.");
    table("statements", [
      ["Statement", "q", (s) => s.Query], ["Calls", "n", (s) => num(s.Calls)], ["Per second", "n", (s) => num(s.CallsPerSecond)],
      ["Mean", "n", (s) => ms(s.MeanSeconds)], ["p99", "n", (s) => ms(s.P99Seconds)], ["Rows", "n", (s) => num(s.Rows)], ["Errors", "n", (s) => num(s.Errors)]],
      statements.sort((a, b) => b.Calls * b.MeanSeconds - a.Calls * a.MeanSeconds).slice(0, 30), "No statement has run on this node yet.");
    table("sessions", [
      ["Node", "", (s) => "n" + s.Node], ["PID", "n", (s) => String(s.PID)], ["User", "", (s) => s.User], ["Database", "", (s) => s.Database],
      ["Application", "", (s) => s.Application], ["State", "", (s) => s.State], ["Query", "q", (s) => s.Query]], sessions, "Nobody is connected.");
  } catch (e) {
    $("state").className = "lost";
    $("state").textContent = "no answer: " + e.message;
  }
  setTimeout(refresh, 1000);
}
refresh();
