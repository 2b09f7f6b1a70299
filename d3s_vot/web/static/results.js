// What the server found, as far as this page knows it.

export class Results {
  constructor() {
    this.targets = new Map(); // number -> array by frame: {shape, confidence, visible, outlines}
    this.next = 0; // version on the server
  }

  // Take in what changed; returns the last frame that was tracked of each target.
  add(answer) {
    const last = new Map();
    for (const change of answer.changes) {
      if (!this.targets.has(change.target)) this.targets.set(change.target, []);
      const records = this.targets.get(change.target);
      if (change.frame === undefined) {
        const end = Math.min(change.to ?? records.length, records.length);
        for (let k = change.from; k < end; k++) delete records[k];
        if (change.to === null) records.length = Math.min(change.from, records.length);
      } else {
        records[change.frame] = change;
        last.delete(change.target); // the latest comes last
        last.set(change.target, change.frame);
      }
    }
    this.next = answer.next;
    return last;
  }

  of(number) {
    return this.targets.get(number) ?? [];
  }

  // Stretches of frames in which a target is lost: [first, last] each.
  losses(number) {
    const found = [];
    this.of(number).forEach((record, k) => {
      if (record.visible) return;
      if (found.length && found[found.length - 1][1] === k - 1) found[found.length - 1][1] = k;
      else found.push([k, k]);
    });
    return found;
  }
}
