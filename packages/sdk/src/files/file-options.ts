// Options of what can be done with files.
import type { RequestOptions } from '../request-options.ts';

export interface FileRequestOptions extends RequestOptions {
  /** From whose home relative paths start, and who owns what is made. Default: the template's user, `user` in `base`. */
  readonly user?: string | undefined;
}

export type FileFormat = 'text' | 'bytes' | 'blob' | 'stream';

export interface FileReadOptions extends FileRequestOptions {
  /** Whether the file may travel compressed. Default false. */
  readonly gzip?: boolean | undefined;
  /**
   * With the format `stream`, milliseconds to wait for each further piece while the stream is being read; 0 for no
   * limit. Default: `requestTimeoutMs`, which is then the limit of the first answer only.
   */
  readonly streamIdleTimeoutMs?: number | undefined;
}

/** Content of a file to be written; a stream of text or bytes. */
export type FileContent = string | ArrayBuffer | Uint8Array<ArrayBuffer> | Blob | ReadableStream;

export interface FileToWrite {
  readonly path: string;
  readonly data: FileContent;
}

export interface FileWriteOptions extends FileRequestOptions {
  /** Whether the content travels compressed. Default false. */
  readonly gzip?: boolean | undefined;
  /** Pairs that are kept with the files, for `getInfo` and `list`; keys come back in lower case. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** An option of `e2b`: here every upload is `application/octet-stream`. */
  readonly useOctetStream?: boolean | undefined;
}

export interface FileListOptions extends FileRequestOptions {
  /** Levels of directories. Default 1: the directory's own entries. */
  readonly depth?: number | undefined;
}
