// Reads, writes, lists and watches the files of a sandbox. Paths are absolute, start with `~/`, or are relative to the
// home of the user. Nothing asks for permissions: every file of the sandbox can be read and written.
import {
  type EntryResponse,
  FILESYSTEM_SERVICE,
  type ListDirRequest,
  type ListDirResponse,
  type MoveRequest,
  type PathRequest,
} from '@sandport/protocol/filesystem-rpc';
import type { AgentClient } from '../agent-client.ts';
import type { ConnectionConfig } from '../connection-config.ts';
import { FileNotFoundError, InvalidArgumentError, SandboxError } from '../errors.ts';
import { download } from './download.ts';
import { type EntryInfo, toEntryInfo, type WriteInfo } from './entry-info.ts';
import { aboutFiles } from './file-failure.ts';
import type {
  FileContent,
  FileFormat,
  FileListOptions,
  FileReadOptions,
  FileRequestOptions,
  FileToWrite,
  FileWriteOptions,
} from './file-options.ts';
import { upload } from './upload.ts';
import { type WatchOptions, watch } from './watch.ts';
import type { FilesystemEvent } from './watch-events.ts';
import type { WatchHandle } from './watch-handle.ts';

/** Uploads of one `writeFiles` at a time. */
const CONCURRENT_UPLOADS = 8;
/** HTTP status of the Connect code `already_exists`. */
const EXISTS_STATUS = 409;

export class Files {
  readonly #agent: AgentClient;
  readonly #config: ConnectionConfig;

  constructor(agent: AgentClient, config: ConnectionConfig) {
    this.#agent = agent;
    this.#config = config;
  }

  /**
   * Reads a file, as text unless `format` says otherwise. A `stream` has to be read to its end or cancelled.
   *
   * @throws FileNotFoundError when there is none
   * @throws InvalidArgumentError when it is a directory
   * @throws TimeoutError when it takes longer than `requestTimeoutMs`, or a piece of a stream than `streamIdleTimeoutMs`
   */
  read(path: string, options?: FileReadOptions & { readonly format?: 'text' | undefined }): Promise<string>;
  read(path: string, options: FileReadOptions & { readonly format: 'bytes' }): Promise<Uint8Array>;
  read(path: string, options: FileReadOptions & { readonly format: 'blob' }): Promise<Blob>;
  read(path: string, options: FileReadOptions & { readonly format: 'stream' }): Promise<ReadableStream<Uint8Array>>;
  async read(
    path: string,
    options: FileReadOptions & { readonly format?: FileFormat | undefined } = {},
  ): Promise<string | Uint8Array | Blob | ReadableStream<Uint8Array>> {
    return download(this.#agent, this.#config, path, options);
  }

  /**
   * Writes a file, or several. Directories on the way are made; what a file held before is replaced.
   *
   * @throws InvalidArgumentError when a path is a directory, or named twice
   * @throws NotEnoughSpaceError when the disk is full
   * @throws TimeoutError when it takes longer than `requestTimeoutMs`
   */
  write(path: string, data: FileContent, options?: FileWriteOptions): Promise<WriteInfo>;
  write(files: readonly FileToWrite[], options?: FileWriteOptions): Promise<WriteInfo[]>;
  async write(
    target: string | readonly FileToWrite[],
    second?: FileContent | FileWriteOptions,
    options: FileWriteOptions = {},
  ): Promise<WriteInfo | WriteInfo[]> {
    if (typeof target !== 'string') return this.writeFiles(target, second as FileWriteOptions | undefined);
    return upload(this.#agent, this.#config, { path: target, data: second as FileContent }, options);
  }

  /** Writes several files, and answers in their order. When one fails, others may have been written. Throws as `write`. */
  async writeFiles(files: readonly FileToWrite[], options: FileWriteOptions = {}): Promise<WriteInfo[]> {
    const paths = new Set<string>();
    for (const { path } of files) {
      if (paths.has(path)) throw new InvalidArgumentError(`the path "${path}" is there twice`);
      paths.add(path);
    }
    const written: WriteInfo[] = [];
    const waiting = files.entries();
    const work = async (): Promise<void> => {
      for (const [index, file] of waiting) written[index] = await upload(this.#agent, this.#config, file, options);
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENT_UPLOADS, files.length) }, work));
    return written;
  }

  /**
   * Lists a directory, sorted by name.
   *
   * @throws FileNotFoundError when there is none
   * @throws InvalidArgumentError when it is a file, or `depth` is less than 1
   */
  async list(path: string, { depth = 1, ...options }: FileListOptions = {}): Promise<EntryInfo[]> {
    if (!(Number.isInteger(depth) && depth >= 1)) {
      throw new InvalidArgumentError(`depth is ${depth}; expected a whole number, 1 or more`);
    }
    const { entries = [] } = await this.#call<ListDirRequest, ListDirResponse>('ListDir', { path, depth }, options);
    return entries.map(toEntryInfo);
  }

  /** Makes a directory and those on the way to it. False when it was there; an InvalidArgumentError when a file is. */
  async makeDir(path: string, options: FileRequestOptions = {}): Promise<boolean> {
    try {
      await this.#call<PathRequest, EntryResponse>('MakeDir', { path }, options);
      return true;
    } catch (error) {
      if (error instanceof SandboxError && error.statusCode === EXISTS_STATUS) return false;
      throw error;
    }
  }

  /** Moves a file or directory, over a file that is there. Throws a FileNotFoundError when there is no `oldPath`. */
  async rename(oldPath: string, newPath: string, options: FileRequestOptions = {}): Promise<EntryInfo> {
    const request = { source: oldPath, destination: newPath };
    const { entry } = await this.#call<MoveRequest, EntryResponse>('Move', request, options);
    return toEntryInfo(entry);
  }

  /** Removes a file, or a directory with all that is in it. No error when there is none. */
  async remove(path: string, options: FileRequestOptions = {}): Promise<void> {
    await this.#call<PathRequest, object>('Remove', { path }, options);
  }

  async exists(path: string, options: FileRequestOptions = {}): Promise<boolean> {
    try {
      await this.getInfo(path, options);
      return true;
    } catch (error) {
      if (error instanceof FileNotFoundError) return false;
      throw error;
    }
  }

  /** Throws a FileNotFoundError when there is none. */
  async getInfo(path: string, options: FileRequestOptions = {}): Promise<EntryInfo> {
    const { entry } = await this.#call<PathRequest, EntryResponse>('Stat', { path }, options);
    return toEntryInfo(entry);
  }

  /**
   * Tells of changes in a directory, from when it returns until `stop`, or `timeoutMs` has passed.
   *
   * @throws FileNotFoundError when there is none
   * @throws InvalidArgumentError when it is a file, or on a network file system without `allowNetworkMounts`
   */
  watchDir(
    path: string,
    onEvent: (event: FilesystemEvent) => void | Promise<void>,
    options: WatchOptions = {},
  ): Promise<WatchHandle> {
    return aboutFiles(watch(this.#agent, this.#config, path, onEvent, options));
  }

  #call<Request, Response>(method: string, request: Request, options: FileRequestOptions): Promise<Response> {
    const signal = this.#config.requestSignal(options.requestTimeoutMs, options.signal);
    const call = { user: options.user, signal };
    return aboutFiles(this.#agent.unary(`${FILESYSTEM_SERVICE}/${method}`, request, call));
  }
}
