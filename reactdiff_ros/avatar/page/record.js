// A video of both faces side by side, made in this browser alone and offered for download. Nothing of it is sent.

const RATE_HZ = 15;
const [WIDTH, HEIGHT] = [640, 480]; // of each half, px
const KINDS = ["video/webm;codecs=vp8,opus", "video/mp4", "video/webm"];

/** The drawing as an image of the page's own making, so that a canvas may show it. */
async function imageOf(svg) {
  const copy = svg.cloneNode(true);
  copy.setAttribute("width", svg.clientWidth);
  copy.setAttribute("height", svg.clientHeight);
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(url);
  }
  return image;
}

export class Recorder {
  /** `media` of the visitor, `video` that shows it, and `face()`: the canvas or the drawing that is shown now. */
  constructor(media, video, face) {
    Object.assign(this, { media, video, face, parts: [], busy: false });
    this.canvas = Object.assign(document.createElement("canvas"), { width: 2 * WIDTH, height: HEIGHT });
    this.pen = this.canvas.getContext("2d");
    const stream = this.canvas.captureStream(RATE_HZ);
    for (const track of media.getAudioTracks()) stream.addTrack(track);
    const kind = KINDS.find((each) => MediaRecorder.isTypeSupported(each));
    this.recorder = new MediaRecorder(stream, kind ? { mimeType: kind } : {});
    this.recorder.ondataavailable = (event) => event.data.size && this.parts.push(event.data);
    this.done = new Promise((resolve) => { // it also stops by itself, when camera and microphone end
      this.recorder.onstop = () => resolve(new Blob(this.parts, { type: this.recorder.mimeType }));
    });
    this.recorder.start(1000);
    this.timer = setInterval(() => this.picture(), 1000 / RATE_HZ);
  }

  async picture() {
    if (this.busy) return; // a slow machine records fewer pictures
    this.busy = true;
    try {
      const face = this.face(), shown = face instanceof HTMLCanvasElement ? face : await imageOf(face);
      this.pen.fillStyle = face.style.getPropertyValue("--ground-edge") || "#fff";
      this.pen.fillRect(0, 0, 2 * WIDTH, HEIGHT);
      this.put(this.video, this.video.videoWidth, this.video.videoHeight, 0);
      this.put(shown, shown.width, shown.height, WIDTH);
    } finally {
      this.busy = false;
    }
  }

  /** Fill a half with the middle of a picture. */
  put(picture, width, height, x) {
    if (!(width > 0 && height > 0)) return;
    const scale = Math.max(WIDTH / width, HEIGHT / height), [w, h] = [WIDTH / scale, HEIGHT / scale];
    this.pen.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h, x, 0, WIDTH, HEIGHT);
  }

  /** End it; the video as a Blob. */
  stop() {
    clearInterval(this.timer);
    if (this.recorder.state !== "inactive") this.recorder.stop();
    return this.done;
  }
}

/** Offer a video as a file. */
export function download(video) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(video);
  link.download = `listening-face.${video.type.includes("mp4") ? "mp4" : "webm"}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
