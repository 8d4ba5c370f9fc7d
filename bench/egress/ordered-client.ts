// A client that takes orders, and lives as long as what is measured: one that had just started would be measured itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What is run with `HOST plain|tls NAME`. */
export const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));

export interface Done {
  /** Bytes or connections. */
  readonly count: number;
  readonly seconds: number;
}

export class OrderedClient implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  /** @param command runs `CLIENT`, with its stdin and stdout */
  constructor(command: readonly string[]) {
    const [file, ...args] = command;
    const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    // One that has ended is noticed by its missing answer.
    child.stdin.on('error', () => {});
    this.#process = child;
    this.#ended = once(child, 'close');
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** @throws Error when the client has ended; it has told why on stderr */
  async order(...words: readonly (string | number)[]): Promise<Done> {
    this.#process.stdin!.write(`${words.join(' ')}\n`);
    const { done, value } = await this.#answers.next();
    if (done) throw new Error('the client has ended');
    return JSON.parse(value) as Done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin!.end();
    await this.#ended;
  }
}
