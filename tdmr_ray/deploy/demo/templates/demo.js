// The page: photos in, the class and the probabilities of each out. `ort` is onnxruntime-web.

const BARS = 5; // classes that are shown at once
const byId = (id) => document.getElementById(id);
const { classNames, format, threshold, noneOfThese } = JSON.parse(byId("settings").textContent);
let least = threshold;
const results = byId("results"), status = byId("status"), slider = byId("threshold");

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const bytesOf = (id) => Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function openModel() {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page
  ort.env.wasm.wasmBinary = await unpacked(bytesOf("wasm"));
  const session = await ort.InferenceSession.create(bytesOf("model"), { executionProviders: ["wasm"] });
  return async (pixels) => {
    const images = new ort.Tensor("uint8", pixels, [1, format.size_px, format.size_px, 3]);
    const found = Object.values(await session.run({ images }))[0];
    return Array.from(found.data);
  };
}

// The class of probabilities, and the largest of them; none of the classes if that is below the threshold.
function verdict(probabilities) {
  const largest = Math.max(...probabilities), isNone = largest < least;
  return { name: isNone ? noneOfThese : classNames[probabilities.indexOf(largest)], largest, isNone };
}

function rowOf(name, probability) {
  const row = byId("row").content.cloneNode(true);
  row.querySelector(".name").textContent = name;
  row.querySelector(".fill").style.width = `${100 * probability}%`;
  row.querySelector("data").value = probability;
  row.querySelector("data").textContent = percent(probability);
  return row;
}

function cardOf(file) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  card.querySelector("img").src = URL.createObjectURL(file);
  card.querySelector(".file bdi").textContent = file.name;
  return card;
}

function fillCard(card, pixels, probabilities) {
  const size = format.size_px, square = new ImageData(size, size), canvas = card.querySelector("canvas");
  for (let i = 0; i < size * size; i++) square.data.set([...pixels.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  canvas.width = canvas.height = size;
  canvas.getContext("2d").putImageData(square, 0, 0);
  const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
  const rows = order.map((index) => rowOf(classNames[index], probabilities[index]));
  const [few, rest] = card.querySelectorAll(".bars");
  few.append(...rows.slice(0, BARS));
  rest.append(...rows.slice(BARS));
  card.querySelector(".more").hidden = rows.length <= BARS;
  card.querySelector("summary").textContent = `${rows.length - BARS} further classes`;
  card.probabilities = probabilities;
  label(card);
}

function label(card) {
  const { name, isNone } = verdict(card.probabilities);
  card.classList.toggle("none", isNone);
  card.querySelector("h2 bdi").textContent = name;
}

function fail(card, reason) {
  card.classList.add("failed");
  card.querySelector("h2 bdi").textContent = reason;
}

function showThreshold() {
  byId("threshold_shown").textContent = percent(least);
  for (const card of results.children) if (card.probabilities) label(card);
}

let model, waiting = Promise.resolve(), left = 0, batch = [];

// Photos are classified one after another, so that a hundred of them do not fill the memory.
function add(files) {
  for (const file of files) {
    left += 1;
    waiting = waiting.then(() => classify(file)).then(() => { left -= 1; report(); });
  }
  report();
}

async function classify(file) {
  const card = cardOf(file);
  try {
    const pixels = await readPhoto(file, format);
    fillCard(card, pixels, await model(pixels));
  } catch (error) {
    fail(card, `This photo ${error.message}.`);
  }
  results.prepend(card);
  batch.push(card);
}

// The status is read aloud, so it changes only when all photos are done.
function report() {
  const progress = byId("progress"), failed = batch.filter((card) => !card.probabilities).length;
  progress.hidden = left === 0;
  progress.max = left + batch.length;
  progress.value = batch.length;
  byId("clear").hidden = results.children.length === 0;
  if (left || !batch.length) return;
  if (batch.length === 1 && !failed) {
    const { name, largest, isNone } = verdict(batch[0].probabilities);
    status.textContent = isNone ? `${name}.` : `${name}, ${percent(largest)}.`;
  } else {
    const count = (number) => `${number} photo${number === 1 ? "" : "s"}`;
    const unreadable = failed ? `, ${count(failed)} not readable` : "";
    status.textContent = `${count(batch.length - failed)} classified${unreadable}.`;
  }
  batch = [];
}

let stream;

async function startCamera() {
  if (!navigator.mediaDevices) { // a page over plain http gets no camera, but a phone's own camera app
    byId("shot").click();
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    status.textContent = `The camera cannot be used: ${error.message}.`;
    return;
  }
  const video = byId("video");
  video.srcObject = stream;
  await video.play();
  byId("live").hidden = false;
  byId("camera").hidden = true;
  byId("take").focus();
  await watch(video, stream);
}

// Classify what the camera sees until it is stopped.
async function watch(video, own) {
  while (own.active) {
    const frame = await createImageBitmap(video);
    const { name, largest } = verdict(await model(readBitmap(frame, format)));
    frame.close();
    byId("seen").textContent = `${name} · ${percent(largest)}`;
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  for (const track of stream.getTracks()) track.stop();
  byId("live").hidden = true;
  byId("camera").hidden = false;
  byId("camera").focus();
}

async function keepFrame() {
  const video = byId("video"), canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  add([new File([await canvas.convertToBlob()], "camera.png", { type: "image/png" })]);
}

function listen() {
  for (const id of ["files", "shot"]) {
    byId(id).addEventListener("change", ({ target }) => { add([...target.files]); target.value = ""; });
  }
  slider.addEventListener("input", () => { least = slider.valueAsNumber; showThreshold(); });
  byId("camera").addEventListener("click", startCamera);
  byId("stop").addEventListener("click", stopCamera);
  byId("take").addEventListener("click", keepFrame);
  byId("clear").addEventListener("click", clear);
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      document.body.classList.toggle("over", name === "dragover");
      if (name === "drop" && model) add([...event.dataTransfer.files]);
    });
  }
}

function clear() {
  for (const image of results.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  results.replaceChildren();
  status.textContent = "Ready.";
  report();
  byId("files").focus();
}

slider.value = threshold;
showThreshold();
listen();
try {
  model = await openModel();
  for (const id of ["files", "shot", "camera"]) byId(id).disabled = false;
  status.textContent = "Ready.";
} catch (error) {
  status.textContent = `This browser cannot run the network: ${error.message}. Try a current Chrome, Firefox or Safari.`;
}
document.body.dataset.loaded = "yes";
