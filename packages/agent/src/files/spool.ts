// Content that has to be whole before it is used: in memory as long as it is small, then in a file without a name, which
// goes with its last descriptor whatever happens.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const MEMORY_BYTES = 1024 * 1024;
/** For temporary files that may be large (hier(7)). */
const DIRECTORY = '/var/tmp';

export class Spool implements AsyncDisposable {
  #pieces: Buffer[] = [];
  #bytes = 0;
  #file: FileHandle | undefined;

  /** @throws what reading the content does, or a system's error such as ENOSPC; nothing is then left */
  static async collect(content: AsyncIterable<Buffer>): Promise<Spool> {
    const spool = new Spool();
    try {
      for await (const piece of content) await spool.#add(piece);
      return spool;
    } catch (error) {
      await spool[Symbol.asyncDispose]();
      throw error;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  async #add(piece: Buffer): Promise<void> {
    this.#bytes += piece.length;
    if (this.#file === undefined && this.#bytes <= MEMORY_BYTES) {
      // A copy, because the piece may be a part of something large.
      this.#pieces.push(Buffer.from(piece));
      return;
    }
    if (this.#file === undefined) {
      this.#file = await openNameless();
      const held = Buffer.concat(this.#pieces);
      this.#pieces = [];
      await writeWhole(this.#file, held);
    }
    await writeWhole(this.#file, piece);
  }

  async *read(): AsyncGenerator<Buffer> {
    yield* this.#pieces;
    if (this.#file !== undefined) {
      yield* this.#file.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }
}

async function openNameless(): Promise<FileHandle> {
  await mkdir(DIRECTORY, { recursive: true, mode: 0o1777 });
  const path = join(DIRECTORY, `.sandport-${randomBytes(8).toString('hex')}`);
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  await unlink(path);
  return file;
}

async function writeWhole(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}
