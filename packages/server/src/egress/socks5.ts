// The client's side of SOCKS5 (RFC 1928) with user and password (RFC 1929). What the proxy says is bounded.
import type { LightSocket, SocketOwner } from './light-socket.ts';

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const PASSWORD = 2;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

export interface SocksCredentials {
  readonly username?: string;
  readonly password?: string;
}

/**
 * Has the proxy at the other end of a connection dial `host`. The connection is then the tunnel, and nobody owns it.
 *
 * @param host a name, which the proxy resolves, or an IPv4 address
 * @throws Error that says what the proxy answered
 */
export async function openTunnel(
  socket: LightSocket,
  { username, password }: SocksCredentials,
  { host, port, isName }: { readonly host: string; readonly port: number; readonly isName: boolean },
): Promise<void> {
  const reader = new SocketReader(socket);
  try {
    const method = username === undefined ? NO_AUTHENTICATION : PASSWORD;
    socket.write(Buffer.from([VERSION, 1, method]));
    const [version, chosen] = await reader.read(2);
    if (version !== VERSION) throw new Error('the egress proxy does not speak SOCKS5');
    if (chosen !== method) throw new Error('the egress proxy takes no such authentication');
    if (username !== undefined) {
      socket.write(Buffer.concat([Buffer.from([1]), sized(username), sized(password ?? '')]));
      const [, status] = await reader.read(2);
      if (status !== 0) throw new Error('the egress proxy refused user and password');
    }
    const target = isName ? Buffer.concat([Buffer.from([NAME]), sized(host)]) : Buffer.from([IPV4, ...bytesOf(host)]);
    socket.write(Buffer.concat([Buffer.from([VERSION, CONNECT, 0]), target, Buffer.from([port >> 8, port & 255])]));
    const [, reply, , kind] = await reader.read(4);
    if (reply !== 0) throw new Error(`the egress proxy refused the connection with code ${reply}`);
    const rest = kind === IPV4 ? 4 : kind === IPV6 ? 16 : kind === NAME ? (await reader.read(1))[0]! : undefined;
    if (rest === undefined) throw new Error('the egress proxy answered with an unknown kind of address');
    await reader.read(rest + 2);
  } finally {
    reader.release();
  }
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function bytesOf(address: string): number[] {
  return address.split('.').map(Number);
}

/** Reads exactly so many bytes, and puts back what came after. */
class SocketReader implements SocketOwner {
  readonly #socket: LightSocket;
  #received: Buffer = Buffer.alloc(0);
  #wanted = 0;
  #resolve: ((bytes: Buffer) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(socket: LightSocket) {
    this.#socket = socket;
    socket.owner = this;
  }

  read(length: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#wanted = length;
      this.#resolve = resolve;
      this.#reject = reject;
      this.#check();
      if (this.#resolve === undefined) return;
      if (this.#socket.destroyed || this.#socket.readableEnded) this.onClose();
      else this.#socket.resume();
    });
  }

  release(): void {
    if (this.#socket.owner === this) this.#socket.owner = undefined;
    this.#socket.putBack(this.#received);
  }

  onData(length: number, buffer: Buffer): void {
    this.#received = Buffer.concat([this.#received, buffer.subarray(0, length)]);
    this.#check();
  }

  onEnd(): void {
    this.onClose();
  }

  onClose(): void {
    // Whoever waits for nothing has nothing to reject.
    this.#reject?.(new Error('the egress proxy closed the connection'));
  }

  onDrain(): void {}

  #check(): void {
    if (this.#resolve === undefined || this.#received.length < this.#wanted) return;
    const bytes = this.#received.subarray(0, this.#wanted);
    this.#received = this.#received.subarray(this.#wanted);
    const resolve = this.#resolve;
    this.#resolve = undefined;
    this.#reject = undefined;
    this.#socket.pause();
    resolve(bytes);
  }
}
