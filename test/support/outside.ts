// The internet of a test: a network namespace with a web server, at a documentation address (RFC 5737).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { waitFor } from './wait-for.ts';

const PREFIX = '203.0.113';

export class Outside implements AsyncDisposable {
  /** Of the machine, as a sandbox would see it. */
  readonly machine = `${PREFIX}.1`;
  /** Two hosts outside; each answers with its own address on port 80. */
  readonly hosts = [`${PREFIX}.10`, `${PREFIX}.20`] as const;
  readonly #name: string;
  readonly #server: ChildProcess;

  private constructor(name: string, server: ChildProcess) {
    this.#name = name;
    this.#server = server;
  }

  static async open(): Promise<Outside> {
    const name = `outside-${process.pid}`;
    const device = `out${process.pid}`;
    ip('netns', 'add', name);
    ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('address', 'add', `${PREFIX}.1/24`, 'dev', device);
    ip('link', 'set', device, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    for (const host of ['10', '20']) ip('-n', name, 'address', 'add', `${PREFIX}.${host}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    const program = `require('node:http').createServer((request, response) => response.end('outside ' + request.socket.localAddress)).listen(80, '0.0.0.0')`;
    const server = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', program], { stdio: 'ignore' });
    const outside = new Outside(name, server);
    try {
      await waitFor('the server outside answers', async () => (await fetch(`http://${PREFIX}.10/`)).ok);
    } catch (error) {
      await outside[Symbol.asyncDispose]();
      throw error;
    }
    return outside;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill('SIGKILL');
    if (this.#server.exitCode === null && this.#server.signalCode === null) await once(this.#server, 'exit');
    ip('netns', 'delete', this.#name);
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}
