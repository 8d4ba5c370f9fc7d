// What a first command needs and later ones find: the agent's own code, the library by which programs are started, the
// shell and its files. A command of nobody's goes the way that all others go.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROCESS_SERVICE } from '@sandport/protocol/process-rpc';
import { serveMethod } from '../connect/serve-method.ts';
import { processService } from './service.ts';

/** Answers one `Start` of a process service of its own, which nobody can ask what ran in it. */
export function serveRehearsal(request: IncomingMessage, response: ServerResponse, root: string): Promise<void> {
  const service = processService(() => ({
    defaultUser: 'root',
    defaultWorkdir: undefined,
    environment: new Map(),
    root,
  }));
  const name = { service: PROCESS_SERVICE, method: 'Start' };
  return serveMethod(service.methods.get(name.method)!, name, request, response);
}
