// Keeps the page up to date, sends files, and presses buttons. What is shown is
// made by the server; nothing here makes markup of text.
"use strict";

const most = 200; // uploads in the list, as the server has it
const list = document.getElementById("uploads");

// Uploads, one at a time for each of a few lanes.
const lanes = 4;
const waiting = [];
let sending = 0;

function send(files) {
  for (const file of files) waiting.push(file);
  while (sending < lanes && waiting.length > 0) next();
}

function next() {
  const file = waiting.shift();
  const item = document.createElement("li");
  item.textContent = file.name + " …";
  document.getElementById("sending").append(item);
  sending++;
  const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
  request.open("POST", "/uploads?name=" + encodeURIComponent(file.name));
  request.upload.onprogress = (e) => {
    if (e.lengthComputable) item.textContent = file.name + " " + Math.floor(100 * e.loaded / e.total) + " %";
  };
  request.onloadend = () => {
    sending--;
    if (request.status === 204) {
      item.remove();
    } else {
      item.className = "failed";
      item.textContent = file.name + ": not uploaded: " + (request.responseText || "the local pipeline does not answer");
      setTimeout(() => item.remove(), 30000);
    }
    if (waiting.length > 0) next();
  };
  request.send(file);
}

const drop = document.getElementById("drop");
document.getElementById("files").addEventListener("change", (e) => {
  send(e.target.files);
  e.target.value = "";
});
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (e) => { e.preventDefault(); drop.classList.add("over"); });
}
for (const type of ["dragleave", "drop"]) {
  document.addEventListener(type, (e) => { e.preventDefault(); drop.classList.remove("over"); });
}
document.addEventListener("drop", (e) => send(e.dataTransfer.files));

// Buttons and switches.
async function post(url) {
  const answer = await fetch(url, { method: "POST" }).catch(() => null);
  if (answer && !answer.ok) say(await answer.text());
}
document.addEventListener("click", (e) => {
  const url = e.target.dataset && e.target.dataset.post;
  if (url) post(url);
});
document.addEventListener("change", (e) => {
  const name = e.target.dataset && e.target.dataset.switch;
  if (name) post("/switches?name=" + name + "&value=" + encodeURIComponent(e.target.value));
});

function say(text) {
  document.getElementById("says").textContent = text;
}

// The details of an upload are fetched when they are opened, and again when the
// upload changes while they are open, though not while something in them plays.
const busy = new Map(); // element → whether it is to be fetched once more

async function fill(details) {
  if (busy.has(details)) {
    busy.set(details, true);
    return;
  }
  busy.set(details, false);
  const body = details.querySelector(".body");
  const answer = await fetch("/uploads/" + details.dataset.id).catch(() => null);
  const playing = [...body.querySelectorAll("video, audio")].some((m) => !m.paused);
  if (answer && !playing) {
    const open = [...body.querySelectorAll("details")].map((d) => d.open);
    const at = [...body.querySelectorAll("summary, a, pre")].indexOf(document.activeElement);
    body.innerHTML = await answer.text();
    body.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
    if (at >= 0) {
      const same = body.querySelectorAll("summary, a, pre")[at];
      if (same) same.focus();
    }
  }
  const again = busy.get(details);
  busy.delete(details);
  if (again) fill(details);
}
list.addEventListener("toggle", (e) => {
  if (e.target.open && e.target.dataset.id) fill(e.target);
}, true);

// What changes.
function show(u) {
  let item = document.getElementById("u" + u.id);
  if (!item) {
    item = document.createElement("li");
    item.id = "u" + u.id;
    const details = document.createElement("details");
    details.dataset.id = u.id;
    details.append(document.createElement("summary"));
    const body = document.createElement("div");
    body.className = "body";
    details.append(body);
    item.append(details);
    list.prepend(item);
    document.getElementById("none").hidden = true;
    while (list.children.length > most) list.lastElementChild.remove();
  }
  item.className = u.bad ? "bad" : u.over ? "over" : "";
  const details = item.firstElementChild;
  details.firstElementChild.innerHTML = u.html;
  if (details.open) fill(details);
}

const changes = new EventSource("/changes?since=" + document.body.dataset.seq);
changes.onopen = () => { document.getElementById("connection").hidden = true; };
changes.onerror = () => { document.getElementById("connection").hidden = false; };
changes.onmessage = (e) => {
  const push = JSON.parse(e.data);
  const said = [];
  for (const u of push.uploads || []) {
    show(u);
    if (u.says) said.push(u.says);
  }
  document.getElementById("status").innerHTML = push.status;
  for (const [name, value] of Object.entries(push.switches)) {
    const select = document.getElementById("switch-" + name);
    if (select !== document.activeElement) select.value = value;
    select.parentElement.classList.toggle("off", value !== select.options[0].value);
  }
  if (said.length > 0) say(said.slice(-3).join(". "));
};
