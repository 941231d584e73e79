// The camera with live boxes: each picture goes to /read when the answer to the one before it is there.

import { draw, kindOf } from "./answer.js";
import { post } from "./ask.js";
import { $, t } from "./words.js";

const LONGEST = 800; // pixels of a picture that is read while the camera runs
let stream = null;

/** Open the camera; `take(image)` gets the picture that is chosen. */
export async function openCamera(take) {
  const finder = $("finder");
  const video = finder.querySelector("video");
  const said = finder.querySelector("output");
  said.textContent = "";
  finder.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
  } catch (error) {
    said.textContent = t("camera-refused", { reason: error.message });
    return;
  }
  if (!finder.open) return stop(); // it was closed before the camera was there
  video.srcObject = stream;
  await video.play();
  finder.querySelector("[value=take]").onclick = async () => {
    const image = await grab(video, Infinity);
    finder.close();
    take(image);
  };
  while (stream) {
    const image = await grab(video, LONGEST);
    const answer = await post("read", image);
    if (!stream) break;
    const scale = LONGEST / Math.max(video.videoWidth, video.videoHeight, LONGEST);
    const size = [video.videoWidth * scale, video.videoHeight * scale];
    const boxes = (answer.digits ?? []).map((mark) => ({ box: mark.box, label: `${mark.digit}`, kind: kindOf(mark) }));
    draw(finder.querySelector("svg"), boxes.filter(({ kind }) => kind !== "left-out"), size);
    said.textContent = answer.text ?? answer.error;
    if (answer.error) await new Promise((resolve) => setTimeout(resolve, 500)); // ms: a busy service is left alone a while
  }
}

function grab(video, longest) {
  const scale = Math.min(1, longest / Math.max(video.videoWidth, video.videoHeight));
  const canvas = new OffscreenCanvas(Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
}

$("finder").querySelector("[value=close]").addEventListener("click", () => $("finder").close());
$("finder").addEventListener("close", stop);

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
}
