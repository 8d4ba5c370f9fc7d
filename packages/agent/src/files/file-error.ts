// A failure of a request to /files, with its HTTP status.

export class FileError extends Error {
  override name = 'FileError';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }

  /** What the system's error means to a client that named `path`. */
  static from(error: unknown, path: string): FileError {
    if (error instanceof FileError) return error;
    const code = (error as NodeJS.ErrnoException | null)?.code;
    switch (code) {
      case 'ENOENT':
        return new FileError(404, `path '${path}' does not exist`);
      case 'EISDIR':
        return new FileError(400, `path '${path}' is a directory`);
      case 'ENOTDIR':
      // A directory was to be made where a file is.
      case 'EEXIST':
        return new FileError(400, `a part of the path '${path}' is not a directory`);
      case 'ENXIO':
        return new FileError(400, `path '${path}' is not a regular file`);
      case 'ENAMETOOLONG':
      case 'ELOOP':
        return new FileError(400, `path '${path}' cannot be followed (${code})`);
      case 'ENOSPC':
      case 'EDQUOT':
        return new FileError(507, 'not enough disk space available');
      case 'EROFS':
      case 'EACCES':
      case 'EPERM':
      case 'ETXTBSY':
        return new FileError(403, `path '${path}' cannot be written (${code})`);
      default:
        if (code === undefined) throw error;
        if (code.startsWith('Z_')) return new FileError(400, 'the body is not valid gzip');
        if (code === 'ECONNRESET') return new FileError(400, 'the request broke off');
        return new FileError(500, `path '${path}' failed (${code})`);
    }
  }
}
