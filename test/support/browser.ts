// A real browser of a test: Chromium without a window, driven over the DevTools protocol.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import WebSocket from 'ws';
import { Hopeless, waitFor } from './wait-for.ts';

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

/** Every host name leads to this machine, and every certificate is taken. */
const OPTIONS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--ignore-certificate-errors',
  '--host-resolver-rules=MAP * 127.0.0.1',
  '--remote-debugging-port=0',
];

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
  #socket!: WebSocket;
  #calls = 0;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();

  private constructor(profile: string) {
    this.#profile = profile;
    const args = [...OPTIONS, `--user-data-dir=${profile}`, 'about:blank'];
    this.#process = spawn('chromium', args, { stdio: 'ignore', detached: true });
  }

  static async start(): Promise<Browser> {
    const browser = new Browser(await mkdtemp(join(tmpdir(), 'sandport-browser-')));
    try {
      await browser.#connect();
      return browser;
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #connect(): Promise<void> {
    let failure: Error | undefined;
    this.#process.once('error', (error) => (failure = error));
    const url = await waitFor(
      'Chromium listens',
      async () => {
        if (failure !== undefined) throw new Hopeless(`Chromium does not start: ${failure.message}`);
        const text = await readFile(join(this.#profile, 'DevToolsActivePort'), 'utf8').catch(() => '');
        const [port, path] = text.split('\n');
        return path === undefined ? undefined : `ws://127.0.0.1:${port}${path}`;
      },
      START_MS,
    );
    this.#socket = new WebSocket(url);
    this.#socket.on('message', (data) => this.#onMessage(JSON.parse(String(data)) as Message));
    await once(this.#socket, 'open');
  }

  #onMessage({ id, result, error }: Message): void {
    if (id === undefined) return;
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error.message));
  }

  /** Calls a method of the DevTools protocol. */
  async call<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const id = ++this.#calls;
    const call = Promise.withResolvers<unknown>();
    this.#waiting.set(id, call);
    const timer = setTimeout(() => call.reject(new Error(`${method} was not answered`)), CALL_MS);
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }));
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
    if (this.#socket?.readyState === WebSocket.OPEN) {
      // It reaps its own helpers, which nobody else might do.
      const exited = once(child, 'exit');
      await this.call('Browser.close').catch(() => {});
      await Promise.race([exited, delay(STOP_MS, undefined, { ref: false })]);
    }
    this.#socket?.terminate();
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      // Its helpers are in the same process group.
      process.kill(-child.pid, 'SIGKILL');
      await exited;
    }
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
