// Snapshots on disk: a directory each, which is there whole or not at all.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SandportError } from '@sandport/protocol/errors';
import type { ContainerBasis, RuntimeName } from '../runtime/runtime.ts';

/** With what a snapshot can be brought back: what was mapped from files is not in it, so the files have to be the same. */
export interface SnapshotManifest extends ContainerBasis {
  readonly runtime: RuntimeName;
  /**
   * - `memory`: processes and files, as the runtime wrote them.
   * - `disk`: files alone, as a disk.
   */
  readonly kind: 'memory' | 'disk';
  /** Of a `memory`: whether it was written past the page cache, as what is to be durable is. */
  readonly durable?: boolean;
  /** Of a `memory` whose files alone were to be kept: its processes are ended before anybody gets to see it. */
  readonly restart?: boolean;
}

const MANIFEST = 'manifest.json';
const CONTENT = 'content';
const UNFINISHED = '.unfinished';

export class SnapshotStore {
  readonly #root: string;
  readonly #ids = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Makes a snapshot of what `write` puts into the directory that it is given.
   *
   * @param durable whether it survives a crash of the machine when this returns
   */
  async create(
    id: string,
    manifest: SnapshotManifest,
    write: (directory: string) => Promise<void>,
    durable = true,
  ): Promise<void> {
    const unfinished = join(this.#root, id + UNFINISHED);
    const content = join(unfinished, CONTENT);
    await mkdir(content, { recursive: true, mode: 0o700 });
    try {
      await write(content);
      await writeFile(join(unfinished, MANIFEST), JSON.stringify(manifest), { mode: 0o600 });
      if (durable) await syncTree(unfinished);
      await rename(unfinished, join(this.#root, id));
      if (durable) await syncPath(this.#root);
      this.#ids.add(id);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    }
  }

  /** How many there are. */
  get count(): number {
    return this.#ids.size;
  }

  has(id: string): boolean {
    return existsSync(join(this.#root, id, MANIFEST));
  }

  /** Whether its processes do not go on; also for one that cannot be read. */
  forgetsMemory(id: string): boolean {
    try {
      const manifest = JSON.parse(readFileSync(join(this.#root, id, MANIFEST), 'utf8')) as SnapshotManifest;
      return manifest.kind === 'disk' || manifest.restart === true;
    } catch {
      return true;
    }
  }

  contentOf(id: string): string {
    return join(this.#root, id, CONTENT);
  }

  /** Throws `snapshot_unusable` when it, or what it needs, is not there any more. */
  async manifest(id: string): Promise<SnapshotManifest> {
    let manifest: SnapshotManifest;
    try {
      manifest = JSON.parse(await readFile(join(this.#root, id, MANIFEST), 'utf8')) as SnapshotManifest;
    } catch (error) {
      throw new SandportError('snapshot_unusable', `the snapshot ${id} cannot be read`, { cause: error });
    }
    const needed = [manifest.image.rootfs, ...(manifest.kind === 'memory' ? [manifest.agentDirectory] : [])];
    const missing = needed.find((path) => !existsSync(path));
    if (missing !== undefined)
      throw new SandportError('snapshot_unusable', `the snapshot needs ${missing}, which is gone`);
    return manifest;
  }

  /** Bytes that it takes on the disk. */
  async size(id: string): Promise<number> {
    let bytes = 0;
    for (const name of await readdir(this.contentOf(id))) {
      bytes += (await stat(join(this.contentOf(id), name))).blocks * 512;
    }
    return bytes;
  }

  /** No error when it is gone. */
  async remove(id: string): Promise<void> {
    this.#ids.delete(id);
    // Renamed first: what is left of an interrupted removal is not taken for a snapshot.
    await rename(join(this.#root, id), join(this.#root, id + UNFINISHED)).catch(ignoreMissing);
    await rm(join(this.#root, id + UNFINISHED), { recursive: true, force: true });
  }

  /** Removes all that are not named, finished or not. */
  async keepOnly(ids: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#root).catch(() => [])) {
      if (ids.has(name)) this.#ids.add(name);
      else await rm(join(this.#root, name), { recursive: true, force: true });
    }
  }
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    await syncPath(join(entry.parentPath, entry.name));
  }
  await syncPath(directory);
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
