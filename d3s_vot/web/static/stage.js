// The picture: a frame, what was found on it, and the shape that is being drawn.

const TINT = 0.45, FAINT = 0.2; // of the mask; of a target that is lost
const NEAR = 10; // screen pixels to a polygon's first corner that close it
const SMALL = 4; // screen pixels: a box that is smaller was a click

export class Stage {
  // Calls back with the shape when it is finished, and with null when there is none any more.
  constructor(canvas, onShape) {
    this.canvas = canvas;
    this.onShape = onShape;
    this.tool = "box";
    this.colour = "#fff"; // of what is drawn
    this.size = [1, 1]; // of the video
    this.picture = null;
    this.found = []; // {colour, label, record}
    this.shape = null; // {kind, points, done}: a box has two opposite corners
    this.hover = null;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("dblclick", () => this.finish());
    new ResizeObserver(() => this.fit()).observe(canvas.parentElement);
  }

  load(size) {
    this.size = size;
    this.picture = null;
    this.found = [];
    this.shape = null;
    this.fit();
  }

  fit() {
    const [width, height] = this.size;
    const room = this.canvas.parentElement;
    room.style.setProperty("--fit", `${Math.min((room.clientWidth * height) / width, innerHeight * 0.7)}px`);
    const scale = Math.min(room.clientWidth / width, room.clientHeight / height);
    if (!(scale > 0)) return;
    const ratio = devicePixelRatio || 1;
    this.scale = scale;
    this.canvas.style.width = `${width * scale}px`;
    this.canvas.style.height = `${height * scale}px`;
    this.canvas.width = Math.max(Math.round(width * scale * ratio), 1);
    this.canvas.height = Math.max(Math.round(height * scale * ratio), 1);
    this.draw();
  }

  // A finished shape as the server takes it.
  get drawing() {
    if (!this.shape?.done) return null;
    const points = this.shape.points.map((point) => point.map((value) => Math.round(value * 100) / 100));
    if (this.shape.kind === "polygon") return { polygon: points };
    const [[x0, y0], [x1, y1]] = points;
    return { box: [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)] };
  }

  get isDrawing() {
    return this.shape !== null;
  }

  drop() {
    if (!this.shape) return;
    this.shape = null;
    this.draw();
    this.onShape(null);
  }

  // Take back the last corner.
  takeBack() {
    if (this.shape?.kind !== "polygon" || this.shape.done) return;
    this.shape.points.pop();
    if (this.shape.points.length) this.draw();
    else this.drop();
  }

  finish() {
    const shape = this.shape;
    if (!shape || shape.done || shape.kind !== "polygon" || shape.points.length < 3) return;
    shape.done = true;
    this.draw();
    this.onShape(this.drawing);
  }

  at(event) {
    const area = this.canvas.getBoundingClientRect();
    return [
      Math.min(Math.max(((event.clientX - area.left) / area.width) * this.size[0], 0), this.size[0]),
      Math.min(Math.max(((event.clientY - area.top) / area.height) * this.size[1], 0), this.size[1]),
    ];
  }

  distance(a, b) {
    return Math.hypot(a[0] - b[0], a[1] - b[1]) * this.scale;
  }

  press(event) {
    if (!this.picture || event.button !== 0) return;
    event.preventDefault();
    const point = this.at(event);
    if (this.shape?.done) this.drop();
    if (this.tool === "box") {
      this.canvas.setPointerCapture(event.pointerId);
      this.shape = { kind: "box", points: [point, point], done: false };
    } else if (!this.shape) {
      this.shape = { kind: "polygon", points: [point], done: false };
    } else if (this.shape.points.length > 2 && this.distance(point, this.shape.points[0]) < NEAR) {
      this.finish();
    } else if (this.distance(point, this.shape.points.at(-1)) >= SMALL) {
      this.shape.points.push(point);
    }
    this.draw();
    if (!this.shape?.done) this.onShape(null);
  }

  move(event) {
    this.hover = this.at(event);
    if (!this.shape || this.shape.done) return;
    if (this.shape.kind === "box") this.shape.points[1] = this.hover;
    this.draw();
  }

  release(event) {
    if (this.shape?.kind !== "box" || this.shape.done) return;
    const [a, b] = (this.shape.points = [this.shape.points[0], this.at(event)]);
    if (Math.min(Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])) * this.scale < SMALL) {
      this.drop();
      return;
    }
    this.shape.done = true;
    this.draw();
    this.onShape(this.drawing);
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.picture) return;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.picture, 0, 0, this.canvas.width, this.canvas.height);
    pen.scale(this.canvas.width / this.size[0], this.canvas.height / this.size[1]);
    for (const item of this.found) this.drawMask(pen, item);
    for (const item of this.found) this.drawShape(pen, item);
    for (const item of this.found) this.drawLabel(pen, item);
    if (this.shape) this.drawDrawing(pen, this.shape);
  }

  drawMask(pen, { record, colour }) {
    pen.save();
    pen.translate(0.5, 0.5); // outlines run through the middle of pixels
    pen.beginPath();
    for (const outline of record.outlines) trace(pen, outline);
    pen.fillStyle = colour;
    pen.globalAlpha = record.visible ? TINT : FAINT;
    pen.fill("evenodd");
    if (record.visible) {
      pen.globalAlpha = 1;
      pen.strokeStyle = colour;
      pen.lineWidth = 2 / this.scale;
      pen.lineJoin = "round";
      pen.stroke();
    }
    pen.restore();
  }

  drawShape(pen, { record, colour }) {
    pen.save();
    pen.beginPath();
    trace(pen, record.shape);
    pen.lineWidth = 1.5 / this.scale;
    pen.strokeStyle = colour;
    if (!record.visible) {
      pen.setLineDash([7 / this.scale, 6 / this.scale]);
      pen.globalAlpha = 0.75;
    }
    pen.stroke();
    pen.restore();
  }

  drawLabel(pen, { record, colour, label }) {
    const text = [label, record.confidence.toFixed(2), record.visible ? "" : "lost?"].filter(Boolean).join("  ");
    const size = 13 / this.scale, tall = 20 / this.scale, pad = 6 / this.scale;
    const columns = record.shape.filter((_, k) => k % 2 === 0), rows = record.shape.filter((_, k) => k % 2);
    pen.save();
    pen.font = `600 ${size}px system-ui, sans-serif`;
    const wide = pen.measureText(text).width + 2 * pad;
    const x = Math.min(Math.max(Math.min(...columns), 0), Math.max(this.size[0] - wide, 0));
    const above = Math.min(...rows) - tall, below = Math.max(...rows);
    const y = Math.min(Math.max(above >= 0 || below + tall > this.size[1] ? above : below, 0), this.size[1] - tall);
    pen.fillStyle = "#000b";
    pen.fillRect(x, y, wide, tall);
    pen.fillStyle = colour;
    pen.fillRect(x, y, pad / 2, tall);
    pen.fillStyle = "#fff";
    pen.textBaseline = "middle";
    pen.fillText(text, x + pad, y + tall / 2);
    pen.restore();
  }

  drawDrawing(pen, { kind, points, done }) {
    const corners = kind === "box"
      ? [points[0], [points[1][0], points[0][1]], points[1], [points[0][0], points[1][1]]]
      : done || !this.hover ? points : [...points, this.hover];
    pen.save();
    pen.beginPath();
    corners.forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (kind === "box" || done) pen.closePath();
    pen.lineJoin = "round";
    for (const [width, colour] of [[4, "#000a"], [2, this.colour]]) {
      pen.lineWidth = width / this.scale;
      pen.strokeStyle = colour;
      pen.stroke();
    }
    if (done) {
      pen.fillStyle = this.colour;
      pen.globalAlpha = FAINT;
      pen.fill();
      pen.globalAlpha = 1;
    }
    if (kind === "polygon") {
      for (const [k, [x, y]] of points.entries()) {
        pen.beginPath();
        pen.arc(x, y, (k || done ? 4 : 6) / this.scale, 0, 2 * Math.PI);
        pen.fillStyle = k || done ? this.colour : "#fff";
        pen.fill();
        pen.lineWidth = 1.5 / this.scale;
        pen.strokeStyle = "#000a";
        pen.stroke();
      }
    }
    pen.restore();
  }
}

function trace(pen, numbers) {
  for (let k = 0; k < numbers.length; k += 2) {
    if (k) pen.lineTo(numbers[k], numbers[k + 1]);
    else pen.moveTo(numbers[0], numbers[1]);
  }
  pen.closePath();
}
