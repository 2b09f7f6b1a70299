// Confidence over the frames: a row for each target, with the moments of loss and the drawings marked.

export const PAD = 8; // pixels at both ends: half of the slider's knob, so that both agree
const TOP = 6, BOTTOM = 8;

// The frame at a place in a row, and back.
export function frameAt(x, width, count) {
  return Math.round(Math.min(Math.max((x - PAD) / (width - 2 * PAD), 0), 1) * Math.max(count - 1, 0));
}

export function placeOf(frame, width, count) {
  return PAD + (frame / Math.max(count - 1, 1)) * (width - 2 * PAD);
}

export function drawRow(canvas, { records, losses, drawn, colour, count }) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const style = getComputedStyle(canvas);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const x = (frame) => placeOf(frame, width, count);
  const y = (confidence) => TOP + (1 - confidence) * (height - TOP - BOTTOM);

  pen.fillStyle = pen.strokeStyle = style.getPropertyValue("--lost");
  const half = (width - 2 * PAD) / Math.max(count - 1, 1) / 2;
  for (const [first, last] of losses) {
    const left = x(first) - half, wide = Math.max(x(last) - x(first) + 2 * half, 2);
    pen.globalAlpha = 0.28;
    pen.fillRect(left, 0, wide, height - BOTTOM);
    pen.globalAlpha = 1;
    pen.fillRect(left, 0, wide, 3);
  }

  pen.strokeStyle = style.getPropertyValue("--rule");
  pen.lineWidth = 1;
  pen.beginPath();
  for (const level of [0, 0.5, 1]) {
    pen.moveTo(PAD, Math.round(y(level)) + 0.5);
    pen.lineTo(width - PAD, Math.round(y(level)) + 0.5);
  }
  pen.stroke();

  // Many frames share a pixel in a long video: its line runs from their least to their greatest.
  pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  pen.lineJoin = "round";
  pen.beginPath();
  let before = -2, column = null;
  const close = () => column && column.n > 1 && (pen.lineTo(column.x, y(column.low)), pen.lineTo(column.x, y(column.high)));
  records.forEach(({ confidence }, frame) => {
    const place = Math.round(x(frame) * 2) / 2;
    if (column && place === column.x && frame === before + 1) {
      column.low = Math.min(column.low, confidence);
      column.high = Math.max(column.high, confidence);
      column.n += 1;
    } else {
      close();
      if (frame === before + 1) pen.lineTo(place, y(confidence));
      else pen.moveTo(place, y(confidence));
      column = { x: place, low: confidence, high: confidence, n: 1 };
    }
    before = frame;
  });
  close();
  pen.stroke();

  pen.fillStyle = colour;
  for (const frame of drawn) {
    pen.beginPath();
    pen.moveTo(x(frame), height - BOTTOM - 1);
    pen.lineTo(x(frame) - 5, height);
    pen.lineTo(x(frame) + 5, height);
    pen.fill();
  }
}
