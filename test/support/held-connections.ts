// Connections that a sandbox keeps open, and over which something goes to and fro for ever.
import type { CommandHandle, Sandbox } from 'e2b';

/** Prints five times a second how many live, how many have ended, and how many exchanges there were. */
const PROGRAM = `
import asyncio, sys
alive = ended = exchanged = 0
async def send_byte(reader, writer, host):
    writer.write(b'x'); await writer.drain()
    await reader.readexactly(1)
    return 0.5
async def send_request(reader, writer, host):
    writer.write(b'GET / HTTP/1.1\\r\\nHost: ' + host.encode() + b'\\r\\n\\r\\n'); await writer.drain()
    head = await reader.readuntil(b'\\r\\n\\r\\n')
    assert head.startswith(b'HTTP/1.1 200')
    if b'chunked' in head: await reader.readuntil(b'0\\r\\n\\r\\n')
    else: await reader.readexactly(int(head.lower().split(b'content-length:')[1].split()[0]))
    return 2
async def hold(host, port, exchange):
    global alive, ended, exchanged
    try:
        reader, writer = await asyncio.open_connection(host, port)
        alive += 1
        while True:
            rest = await exchange(reader, writer, host)
            exchanged += 1
            await asyncio.sleep(rest)
    except Exception:
        alive -= 1; ended += 1
async def main(host, count, protocol):
    port, exchange = (7001, send_byte) if protocol == 'echo' else (80, send_request)
    tasks = [asyncio.create_task(hold(host, port, exchange)) for _ in range(int(count))]
    while True:
        await asyncio.sleep(0.2); print(alive, ended, exchanged, flush=True)
asyncio.run(main(*sys.argv[1:]))
`;

export class HeldConnections {
  readonly #handle: CommandHandle;
  readonly #output: () => string;

  private constructor(handle: CommandHandle, output: () => string) {
    this.#handle = handle;
    this.#output = output;
  }

  /**
   * Begins to open them.
   *
   * @param protocol `echo`: a byte each half second to port 7001, which sends it back; `http`: a request each two seconds
   */
  static async open(
    sandbox: Sandbox,
    host: string,
    { count, protocol }: { readonly count: number; readonly protocol: 'echo' | 'http' },
  ): Promise<HeldConnections> {
    await sandbox.files.write('/tmp/hold.py', PROGRAM);
    let output = '';
    const handle = await sandbox.commands.run(`ulimit -n 4096; python3 /tmp/hold.py ${host} ${count} ${protocol}`, {
      background: true,
      timeoutMs: 0,
      onStdout: (text) => {
        output += text;
      },
    });
    return new HeldConnections(handle, () => output);
  }

  /** As the sandbox told them last. */
  get counts(): { readonly alive: number; readonly ended: number; readonly exchanged: number } {
    const [alive = 0, ended = 0, exchanged = 0] = this.#output().trimEnd().split('\n').at(-1)!.split(' ').map(Number);
    return { alive, ended, exchanged };
  }

  async close(): Promise<void> {
    await this.#handle.kill();
  }
}
