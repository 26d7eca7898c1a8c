// The first page: load the model, guess, ask. The model answers in a worker of this tab; no question leaves the browser.

import { Damaged, ModelFile, Unreachable } from "./model.js";

const MOST_TOKENS = 200; // of an answer
const CONTEXT = 2048; // the longest question the box takes, in any script, and its answer
const ENGINE = "./wllama/index.min.js";

const the = (id) => document.getElementById(id);
const settings = JSON.parse(the("settings").textContent);
const file = new ModelFile(settings.model);
const mega = (bytes) => Math.round(bytes / 1e6);

let engine = null;
let working = null; // what Cancel and Stop end
let broken; // a promise that fails when the model's worker does, by this function:
let fail = () => {};

// What the page says

// One part of the box. Where the focus was in a part that goes, or on the button that led here, it moves along.
function show(part) {
  const focus = { before: "load", loading: "phase", form: "running" };
  const held = [...Object.keys(focus), "see"].some((id) => the(id).contains(document.activeElement));
  for (const id of Object.keys(focus)) the(id).hidden = id !== part;
  the("inside").hidden = part !== "form";
  offer();
  if (held) the(focus[part]).focus();
}

function announce(text) {
  the("status").textContent = text;
}

function say(text) {
  the("note").textContent = text;
  the("note").hidden = !text;
  announce(text);
}

function recorded(why) {
  the("why").textContent = `${why} These answers are recorded.`;
  document.documentElement.classList.add("show-recorded");
}

async function missing() {
  if (!globalThis.isSecureContext) return "This address is not secure: the model needs https, or this machine itself.";
  if (typeof WebAssembly !== "object") return "WebAssembly is switched off in this browser, so the model can't run here.";
  if (navigator.deviceMemory < 1) return "This device has less than 1 GB of memory, too little for the model.";
  const nothing = "This browser keeps nothing for this page, so the model can't be loaded.";
  return file.kept().then(() => "", () => nothing); // cookies that are blocked block this, too
}

async function showKept() {
  const kept = await file.kept();
  const button = the("load");
  button.textContent = button.dataset.text;
  if (kept) button.textContent = `Go on loading · ${mega(file.bytes - kept)} MB to come`;
  if (kept === file.bytes) button.textContent = "Start the model · nothing to download";
  the("keeping").hidden = !kept;
  const part = kept < file.bytes ? ` of ${mega(file.bytes)}` : "";
  the("kept").textContent = `${mega(kept)}${part} MB are in this browser.`;
  offer();
}

// Loading

function left(seconds) {
  if (!Number.isFinite(seconds)) return "";
  return seconds < 90 ? `about ${Math.ceil(seconds)} s left` : `about ${Math.round(seconds / 60)} min left`;
}

function progressSince(began) {
  let quarter = 0;
  return (here, arrived) => {
    const speed = arrived / ((performance.now() - began) / 1000);
    the("bar").value = here / file.bytes;
    const parts = [`${mega(here)} of ${mega(file.bytes)} MB`, left((file.bytes - here) / speed)];
    the("amount").textContent = here < file.bytes ? parts.filter(Boolean).join(" · ") : parts[0];
    if (here === file.bytes) the("phase").textContent = "Checking the file";
    if (Math.floor((4 * here) / file.bytes) <= quarter) return;
    quarter = Math.floor((4 * here) / file.bytes);
    announce(`${mega(here)} of ${mega(file.bytes)} MB are here.`);
  };
}

async function load() {
  if (working) return;
  say("");
  working = new AbortController();
  const began = performance.now();
  const here = (await file.kept()) === file.bytes;
  the("phase").textContent = "Loading the model";
  the("cancel").hidden = false;
  the("keeping").hidden = true;
  show("loading");
  try {
    const blob = await file.load(progressSince(began), working.signal);
    the("phase").textContent = "Starting the model";
    the("cancel").hidden = true;
    await start(blob);
    ready(here, (performance.now() - began) / 1000);
  } catch (fault) {
    show("before");
    say(await reason(fault));
  } finally {
    working = null;
    await showKept();
  }
}

async function reason(fault) {
  const kept = await file.kept();
  const on = kept ? `${mega(kept)} MB are kept, and the button goes on from there.` : "Nothing was kept.";
  if (fault.name === "AbortError") return `Stopped. ${on}`;
  if (fault instanceof Damaged) return "The file arrived damaged and was deleted. Load it again.";
  if (!navigator.onLine) return `You are offline. Connect, then try again. ${on}`;
  if (fault instanceof Unreachable) return `The model could not be loaded: its host did not answer. ${on}`;
  return crashed(fault);
}

function crashed(fault) {
  console.warn(fault);
  const text = "The model stopped. Most likely this device has too little free memory for it.";
  recorded(text);
  return `${text} Its recorded answers are below.`;
}

async function start(blob) {
  const { Wllama } = await import(ENGINE).catch(() => {
    throw new Unreachable(ENGINE);
  });
  broken = new Promise((_, reject) => (fail = reject));
  broken.catch(() => {});
  const quiet = () => {};
  const logger = { debug: quiet, log: quiet, warn: quiet, error: fail };
  const made = new Wllama({ default: "wllama/wllama.wasm" }, { logger, suppressNativeLog: true });
  const compat = new URL("wllama/compat/", document.baseURI).href;
  made.setCompat({ worker: `${compat}wllama.js`, wasm: `${compat}wllama.wasm` });
  try {
    await Promise.race([made.loadModel([blob], { n_ctx: CONTEXT, n_parallel: 1, n_gpu_layers: 0 }), broken]);
    engine = made;
  } finally {
    if (!engine) made.exit();
  }
}

function ready(here, seconds) {
  const threads = engine.getNumThreads() === 1 ? "1 thread" : `${engine.getNumThreads()} threads`;
  const from = here ? "Loaded from this browser" : "Loaded";
  const room = file.room ? "" : " This browser has no room to keep it: your next visit loads it again.";
  the("running").textContent = `The model runs in this tab, on ${threads}. ${from} in ${seconds.toFixed(1)} s.${room}`;
  preview();
  show("form");
  announce(the("running").textContent);
}

// Asking

function preview(question = the("question").value.trim() || "…", answer = "", ended = false) {
  const parts = `${settings.prompt.join(question)}`.split(/(<\|\w+\|>)/);
  const nodes = parts.map((text, at) => (at % 2 ? marked("special", text) : text));
  if (answer) nodes.push(marked("written", answer));
  if (ended) nodes.push(marked("special written", "<|im_end|>"));
  the("prompt").replaceChildren(...nodes);
}

function marked(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

// Figures are the engine's: a token is one that it counted.
function figures({ predicted_n: tokens, predicted_per_second: speed }, wait) {
  const rest = `first token after ${(wait / 1000).toFixed(1)} s`;
  return `${tokens} ${tokens === 1 ? "token" : "tokens"} · ${speed.toFixed(1)} tokens per second · ${rest}`;
}

async function ask(question) {
  if (!question || working) return;
  working = new AbortController();
  the("question").value = question;
  say("");
  busy(true);
  the("asked").textContent = question;
  the("said").textContent = the("speed").textContent = "";
  the("answer").hidden = false;
  the("answer").scrollIntoView({ block: "nearest" });
  preview(question);
  announce("The model is reading.");
  const began = performance.now();
  let [answer, wait, ended] = ["", 0, false];
  const onData = (chunk) => {
    wait ||= performance.now() - began;
    answer += chunk.choices[0].text;
    ended = chunk.choices[0].finish_reason === "stop";
    the("said").textContent = answer.trimStart();
    if (chunk.timings?.predicted_n > 1) the("speed").textContent = figures(chunk.timings, wait);
    preview(question, answer, ended);
  };
  try {
    const temperature = Number(the("temperature").value);
    const how = { temperature, top_k: 0, top_p: 1, min_p: 0, max_tokens: MOST_TOKENS, timings_per_token: true };
    const options = { prompt: settings.prompt.join(question), ...how, stream: true, onData };
    await Promise.race([engine.createCompletion({ ...options, abortSignal: working.signal }), broken]);
    the("answer").scrollIntoView({ block: "nearest" }); // it has grown
    announce(`${answer} ${the("speed").textContent}`);
    judge(question, answer);
  } catch (fault) {
    if (fault.name === "AbortError") announce("Stopped.");
    else lost(fault);
  } finally {
    working = null;
    busy(false);
  }
}

function lost(fault) {
  engine.exit();
  engine = null;
  show("before");
  say(crashed(fault));
}

function busy(is) {
  the("answer").classList.toggle("writing", is);
  the("answer").setAttribute("aria-busy", is);
  the("stop").hidden = !is;
  for (const button of document.querySelectorAll(".chip, #send, #see")) button.setAttribute("aria-disabled", is);
}

function degrees() {
  const value = Number(the("temperature").value);
  the("degrees").textContent = value;
  const among = value < 1 ? "Likely tokens are taken more often." : "Unlikely tokens have their chance.";
  the("meaning").textContent = value ? among : "Always the most likely token: the same answer each time.";
}

// The guess

const options = [...document.querySelectorAll(".option")];
const chosen = () => options.find((option) => option.getAttribute("aria-pressed") === "true")?.textContent;

function guess({ currentTarget }) {
  if (currentTarget.getAttribute("aria-disabled")) return;
  currentTarget.setAttribute("aria-pressed", "true");
  lock();
  the("verdict").textContent = `Locked: you said “${chosen()}”.`;
  offer();
}

function lock() {
  for (const option of options) option.setAttribute("aria-disabled", "true");
}

// The way on from a guess: load the model, or ask it.
function offer() {
  the("see").hidden = !chosen() || !the("loading").hidden || options.some(({ classList }) => classList.contains("did"));
  the("see").textContent = engine ? "Ask it" : the("load").textContent;
}

// What the model did, by the lesson's own rule.
function judge(question, answer) {
  const { asked, words, unsure, asks, otherwise } = settings.guess;
  if (question !== asked) return;
  const did = words.some((word) => answer.includes(word)) ? unsure : answer.includes("?") ? asks : otherwise;
  const mine = chosen();
  const right = mine === did ? "As you said." : `You said “${mine}”. What surprises you, you will remember.`;
  the("verdict").textContent = `The model did this: ${did}. ${mine ? right : "Next time, guess first."}`;
  lock();
  for (const option of options) option.classList.toggle("did", option.textContent === did);
  offer();
}

function see() {
  if (engine) ask(settings.guess.asked);
  else load();
}

// Colours

function dark() {
  const own = document.documentElement.dataset.theme;
  return own ? own === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function nameTheme() {
  the("theme").textContent = dark() ? "Light" : "Dark";
  the("theme").setAttribute("aria-label", `${the("theme").textContent} colours`);
}

function turn() {
  const theme = dark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme); // the lessons' pages read it, too
  } catch {
    // a browser that keeps nothing shows them for this visit
  }
  nameTheme();
}

// Every control

addEventListener("error", ({ message }) => working && fail(message)); // a fault that wllama's own handler stumbles over
the("theme").addEventListener("click", turn);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
nameTheme();

const why = await missing();
if (why) {
  the("ask").hidden = true;
  recorded(why);
} else {
  the("load").addEventListener("click", load);
  for (const id of ["cancel", "stop"]) the(id).addEventListener("click", () => working?.abort());
  the("delete").addEventListener("click", async () => {
    await file.remove();
    await showKept();
    say(engine ? "Deleted. The model answers until you close this page." : "Deleted.");
  });
  the("form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(the("question").value.trim());
  });
  the("question").addEventListener("input", () => preview());
  the("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    the("form").requestSubmit();
  });
  the("temperature").addEventListener("input", degrees);
  for (const chip of document.querySelectorAll(".chip")) chip.addEventListener("click", () => ask(chip.textContent));
  for (const option of options) option.addEventListener("click", guess);
  the("see").addEventListener("click", see);
  degrees();
  await showKept();
}
