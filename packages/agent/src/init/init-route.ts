// POST /init: the host tells the agent which sandbox it is, at the start and again after every restore.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AgentInit } from '@sandport/protocol/agent-init';
import { AGENT_PROTOCOL_VERSION } from '@sandport/protocol/agent-port';
import { readBody } from '../connect/body.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { answerError } from '../http/json-answer.ts';
import { checkInit } from './init-body.ts';
import { identity, type Settings, sequenceOf, settingsOf } from './settings.ts';
import { systemFiles, writeSystemFiles } from './system-files.ts';
import { trustVariables, writeTrustStore } from './trust-store.ts';

export class Initialization {
  readonly #root: string;
  #settings: Settings | undefined;
  #files: ReadonlyMap<string, string> | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  /** Undefined until the host has called. */
  get settings(): Settings | undefined {
    return this.#settings;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      return answerError(response, 405, 'use POST');
    }
    // Before the body is read: a stranger in the sandbox does not make the agent take a body.
    if (!this.allows(request)) return answerError(response, 401, 'X-Control-Token does not match');
    try {
      const init = checkInit(JSON.parse((await readBody(request)).toString('utf8')));
      // Two first calls may have read their bodies at the same time; only one of them is the first.
      if (!this.allows(request)) return answerError(response, 401, 'X-Control-Token does not match');
      if (init.restart) await (await import('./restart.ts')).restartProcesses();
      this.#apply(init, () => response.writeHead(204, { 'x-envd-version': AGENT_PROTOCOL_VERSION }).end());
    } catch (error) {
      if (error instanceof ConnectError) return answerError(response, 400, error.message);
      if (error instanceof SyntaxError) return answerError(response, 400, 'the body is not valid JSON');
      if (error instanceof TypeError) return answerError(response, 400, error.message);
      throw error;
    }
  }

  /** Whether it is the host that asks. Until its first call nobody can tell. */
  allows(request: IncomingMessage): boolean {
    return this.#settings === undefined || this.#settings.controlToken.equals(request.headers['x-control-token']);
  }

  #apply(init: AgentInit, answer: () => void): void {
    // A call that was overtaken by a later one must not undo it; after a restore the host's clock may be another's.
    const before = this.#settings;
    if (before !== undefined && before.generation === init.generation && sequenceOf(init) < before.sequence) {
      answer();
      return;
    }
    writeTrustStore(this.#root, init.egressAuthority);
    this.#settings = settingsOf(init, trustVariables(this.#root, init.egressAuthority));
    // The host need not wait for the files, which take half of the time: no request comes in between.
    answer();
    const files = systemFiles(init, identity(init));
    writeSystemFiles(this.#root, files, this.#files);
    this.#files = files;
  }
}
