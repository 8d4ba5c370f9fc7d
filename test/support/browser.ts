// A real browser of a test: Chromium without a window, driven over the DevTools protocol.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from './wait-for.ts';

const START_MS = 30_000;
const CALL_MS = 20_000;
const STOP_MS = 5000;

export interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly domain: string;
  readonly httpOnly: boolean;
  readonly secure: boolean;
  readonly sameSite?: string;
  readonly expires: number;
  readonly partitionKey?: unknown;
}

/** Every certificate is taken. */
const OPTIONS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--ignore-certificate-errors',
  '--remote-debugging-pipe',
];
/** Between two messages of the protocol. */
const END = '\0';

export interface BrowserOptions {
  /** To which every host name leads. Default: this machine. */
  readonly address?: string;
  /** A command that runs the browser, given to it as further arguments. */
  readonly within?: readonly string[];
}

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export class Browser implements AsyncDisposable {
  readonly #profile: string;
  readonly #process: ChildProcess;
  readonly #commands: Writable;
  #received = '';
  #calls = 0;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();

  private constructor(profile: string, { address = '127.0.0.1', within = [] }: BrowserOptions) {
    this.#profile = profile;
    const [program, ...args] = [...within, 'chromium', ...OPTIONS, `--host-resolver-rules=MAP * ${address}`];
    this.#process = spawn(program!, [...args, `--user-data-dir=${profile}`, 'about:blank'], {
      // It reads commands from descriptor 3 and writes what it says to descriptor 4.
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#commands = this.#process.stdio[3] as Writable;
    // What is wrong with it shows in a call that is not answered.
    this.#commands.on('error', () => {});
    const said = this.#process.stdio[4] as Readable;
    said.setEncoding('utf8').on('data', (text: string) => this.#onData(text));
  }

  static async start(options: BrowserOptions = {}): Promise<Browser> {
    const browser = new Browser(await mkdtemp(join(tmpdir(), 'sandport-browser-')), options);
    try {
      await browser.#answers();
      return browser;
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #answers(): Promise<void> {
    const failed = once(this.#process, 'error').then(([error]) => {
      throw new Error(`Chromium does not start: ${(error as Error).message}`);
    });
    const ended = once(this.#process, 'exit').then(([code]) => {
      throw new Error(`Chromium ended with code ${code}`);
    });
    for (const failure of [failed, ended]) failure.catch(() => {});
    await Promise.race([this.call('Browser.getVersion', {}, undefined, START_MS), failed, ended]);
  }

  #onData(text: string): void {
    const messages = (this.#received + text).split(END);
    this.#received = messages.pop()!;
    for (const message of messages) this.#onMessage(JSON.parse(message) as Message);
  }

  #onMessage({ id, result, error }: Message): void {
    if (id === undefined) return;
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error.message));
  }

  /** Calls a method of the DevTools protocol. */
  async call<T>(method: string, params: object = {}, sessionId?: string, timeoutMs = CALL_MS): Promise<T> {
    const id = ++this.#calls;
    const call = Promise.withResolvers<unknown>();
    this.#waiting.set(id, call);
    const timer = setTimeout(() => call.reject(new Error(`${method} was not answered`)), timeoutMs);
    this.#commands.write(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }) + END);
    try {
      return (await call.promise) as T;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** A tab with cookies of its own. */
  async open(): Promise<Tab> {
    const { browserContextId } = await this.call<{ browserContextId: string }>('Target.createBrowserContext');
    const { targetId } = await this.call<{ targetId: string }>('Target.createTarget', {
      url: 'about:blank',
      browserContextId,
    });
    const { sessionId } = await this.call<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true });
    return new Tab(this, sessionId, browserContextId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#process;
    const isThere = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
    if (isThere()) {
      // It reaps its own helpers, which nobody else might do.
      const exited = once(child, 'exit');
      void this.call('Browser.close', {}, undefined, STOP_MS).catch(() => {});
      await Promise.race([exited, delay(STOP_MS, undefined, { ref: false })]);
    }
    if (isThere()) {
      const exited = once(child, 'exit');
      // Its helpers are in the same process group.
      process.kill(-child.pid!, 'SIGKILL');
      await exited;
    }
    for (const stream of child.stdio) stream?.destroy();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

export class Tab {
  readonly #browser: Browser;
  readonly #session: string;
  readonly #context: string;

  constructor(browser: Browser, session: string, context: string) {
    this.#browser = browser;
    this.#session = session;
    this.#context = context;
  }

  /** Starts to load a page. What it shows is to be waited for. */
  async goTo(url: string): Promise<void> {
    await this.call('Page.navigate', { url });
  }

  /** The value of an expression, or of its promise, in the page; undefined while the page is being replaced. */
  async evaluate<T>(expression: string): Promise<T | undefined> {
    const params = { expression, awaitPromise: true, returnByValue: true };
    try {
      const { result, exceptionDetails } = await this.call<{ result: { value?: T }; exceptionDetails?: unknown }>(
        'Runtime.evaluate',
        params,
      );
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return result.value;
    } catch (error) {
      if (/context|navigat|target/i.test((error as Error).message)) return undefined;
      throw error;
    }
  }

  /** Waits until the page's text matches. */
  async shows(pattern: RegExp): Promise<string> {
    return waitFor(`the page shows ${pattern}`, async () => {
      const text = (await this.evaluate<string>('document.body?.innerText ?? ""')) ?? '';
      if (!pattern.test(text)) throw new Error(`it shows: ${text}`);
      return text;
    });
  }

  async type(text: string): Promise<void> {
    await this.call('Input.insertText', { text });
  }

  async press(key: 'Enter'): Promise<void> {
    const event = { key, code: key, windowsVirtualKeyCode: 13, text: '\r' };
    await this.call('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  async cookies(): Promise<readonly Cookie[]> {
    const params = { browserContextId: this.#context };
    return (await this.#browser.call<{ cookies: Cookie[] }>('Storage.getCookies', params)).cookies;
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.call<{ data: string }>('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }

  call<T>(method: string, params: object = {}): Promise<T> {
    return this.#browser.call<T>(method, params, this.#session);
  }
}
