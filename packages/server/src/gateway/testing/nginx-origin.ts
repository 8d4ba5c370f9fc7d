// For tests: nginx as a server in a sandbox. It reads every request to its end before it answers.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { nextAddress } from './origin.ts';

export class NginxOrigin implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(address: string, port: number, directory: string, child: ChildProcess) {
    this.address = address;
    this.port = port;
    this.#directory = directory;
    this.#child = child;
  }

  /** @param logFormat what it writes of each request, in nginx's variables */
  static async start(logFormat: string): Promise<NginxOrigin> {
    const directory = await mkdtemp(join(tmpdir(), 'sandport-nginx-'));
    const address = nextAddress();
    const port = await freePort(address);
    const inner = await freePort(address);
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory};`);
    const config = join(directory, 'nginx.conf');
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    writeFileSync(
      config,
      `${user}
worker_processes 1;
daemon off;
master_process off;
pid ${directory}/pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  ${paths.join('\n  ')}
  keepalive_requests 1000000;
  log_format plain escape=none '${logFormat}';
  server {
    listen ${address}:${port};
    access_log ${directory}/log plain;
    location / { proxy_pass http://${address}:${inner}; }
  }
  server {
    listen ${address}:${inner};
    access_log off;
    location / { return 200 "ok"; }
  }
}
`,
    );
    const child = spawn('nginx', ['-c', config, '-p', directory], { stdio: ['ignore', 'ignore', 'inherit'] });
    const origin = new NginxOrigin(address, port, directory, child);
    try {
      await Promise.race([
        origin.#untilListening(),
        once(child, 'exit').then(([code]) => Promise.reject(new Error(`nginx ended with ${code}`))),
      ]);
    } catch (error) {
      await origin[Symbol.asyncDispose]();
      throw error;
    }
    return origin;
  }

  /** What it has written so far, a line a request. */
  log(): string[] {
    return readFileSync(join(this.#directory, 'log'), 'latin1').split('\n').slice(0, -1);
  }

  async #untilListening(): Promise<void> {
    for (;;) {
      const socket = connect(this.port, this.address);
      const open = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      socket.destroy();
      if (open) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await exited;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}
