// Pictures of the frames: the last few are kept, the next few are fetched before they are needed.

import { request } from "./api.js";

const KEPT = 40;

export class Frames {
  constructor(id) {
    this.id = id;
    this.kept = new Map(); // index -> promise of {picture, time}; the last used comes last
  }

  get(index) {
    const found = this.kept.get(index) ?? this.fetch(index);
    this.kept.delete(index);
    this.kept.set(index, found);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return found;
  }

  async fetch(index) {
    try {
      const answer = await request("GET", `/api/frame/${index}.jpg?video=${this.id}`);
      const picture = await createImageBitmap(await answer.blob());
      return { picture, time: Number(answer.headers.get("X-Time")) };
    } catch (error) {
      this.kept.delete(index);
      throw error;
    }
  }

  ahead(index, count) {
    for (let k = index; k < index + count; k++) this.get(k).catch(() => {}); // told when it is its turn
  }
}
