// The model's file: it comes in pieces, this browser keeps each of them, and its hash is compared before anyone uses it.
// Knows nothing about the page, nor about what runs the model.

const PIECE = 8 * 1024 * 1024;
const STORE = "slmlab-model";

export class Damaged extends Error {}
export class Unreachable extends Error {}

export class ModelFile {
  constructor({ bytes, sha256, sources }) {
    Object.assign(this, { bytes, sha256, sources, count: Math.ceil(bytes / PIECE), room: true });
  }

  // Bytes that this browser has kept.
  async kept() {
    const names = new Set((await (await this.#store()).keys()).map(({ url }) => url));
    return this.#numbers().reduce((sum, at) => sum + (names.has(this.#name(at)) ? this.#size(at) : 0), 0);
  }

  // The whole file as a Blob. `progress` is told how many bytes are here, and how many of them came in this call.
  async load(progress, signal) {
    const pieces = await this.#keptPieces();
    const here = pieces.reduce((sum, piece) => sum + piece.size, 0);
    progress(here, 0);
    if (here < this.bytes) await this.#download(pieces, (now) => progress(now, now - here), signal);
    const whole = new Blob(pieces);
    if ((await hashOf(whole)) === this.sha256) return whole;
    await this.remove();
    throw new Damaged();
  }

  remove() {
    return caches.delete(STORE);
  }

  async #keptPieces() {
    const store = await this.#store();
    const found = await Promise.all(this.#numbers().map((at) => store.match(this.#name(at))));
    return Promise.all(found.map(async (one) => (one ? one.blob() : new Blob())));
  }

  // Each address in turn, until one of them answers.
  async #download(pieces, progress, signal) {
    for (const [turn, source] of this.sources.entries()) {
      try {
        return await this.#from(source, pieces, progress, signal);
      } catch (fault) {
        if (!(fault instanceof Unreachable) || turn === this.sources.length - 1) throw fault;
      }
    }
  }

  async #from(source, pieces, progress, signal) {
    for (let at = 0; at < this.count; at += 1) {
      if (pieces[at].size) continue;
      const first = at * PIECE;
      const range = `bytes=${first}-${first + this.#size(at) - 1}`;
      const answer = await fetch(source, { signal, cache: "no-store", headers: { Range: range } }).catch(unreachable);
      if (!answer.ok) throw new Unreachable(`${source}: ${answer.status}`);
      if (answer.status === 206) await this.#cut(answer.body, at, at + 1, pieces, progress);
      else return this.#anew(answer.body, pieces, progress);
    }
  }

  // A host that ignores Range sends the file from its beginning: what is there only in part is of no use.
  async #anew(body, pieces, progress) {
    try {
      await this.#cut(body, 0, this.count, pieces, progress);
    } catch (fault) {
      await this.remove();
      throw fault;
    }
  }

  // What arrives, cut into pieces, each kept as soon as it is whole.
  async #cut(body, first, end, pieces, progress) {
    const reader = body.getReader();
    let [at, filled, bytes] = [first, 0, new Uint8Array(this.#size(first))];
    for (let { done, value } = await reader.read().catch(unreachable); !done; ) {
      const part = value.subarray(0, bytes.length - filled);
      bytes.set(part, filled);
      filled += part.length;
      progress(at * PIECE + filled);
      value = value.subarray(part.length);
      if (filled === bytes.length) {
        pieces[at] = new Blob([bytes]);
        await this.#keep(at, pieces[at]);
        at += 1;
        if (at === end) return void reader.cancel();
        [filled, bytes] = [0, new Uint8Array(this.#size(at))];
      }
      if (!value.length) ({ done, value } = await reader.read().catch(unreachable));
    }
    throw new Unreachable("the connection ended early");
  }

  // A full disk stops nothing: the piece is in memory, and the next visit loads it again.
  async #keep(at, piece) {
    try {
      await (await this.#store()).put(this.#name(at), new Response(piece));
    } catch {
      this.room = false;
    }
  }

  #store() {
    return caches.open(STORE);
  }

  #numbers() {
    return [...Array(this.count).keys()];
  }

  #size(at) {
    return Math.min(PIECE, this.bytes - at * PIECE);
  }

  // A name under the page's own address; nothing is ever asked there.
  #name(at) {
    return new URL(`kept/${this.sha256}/${at}`, document.baseURI).href;
  }
}

function unreachable(fault) {
  throw fault.name === "AbortError" ? fault : new Unreachable(fault.message);
}

async function hashOf(blob) {
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
