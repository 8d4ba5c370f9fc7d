// Finds the method that a path of the form /package.Service/Method names.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConnectError } from './connect-error.ts';
import type { Service } from './method.ts';
import { answerUnaryError, serveMethod } from './serve-method.ts';

export class ConnectRouter {
  readonly #services: ReadonlyMap<string, Service>;

  constructor(services: readonly Service[]) {
    this.#services = new Map(services.map((service) => [service.name, service]));
  }

  /** Whether `path` is in the name space of a service, existing method or not. */
  owns(path: string): boolean {
    return this.#services.has(path.slice(1, path.indexOf('/', 1)));
  }

  serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const slash = path.indexOf('/', 1);
    const name = { service: path.slice(1, slash), method: path.slice(slash + 1) };
    const method = this.#services.get(name.service)?.methods.get(name.method);
    if (method !== undefined) return serveMethod(method, name, request, response);
    // Clients read 404 as `unimplemented`; the body says it to those that read bodies.
    answerUnaryError(response, new ConnectError('unimplemented', `${path} is not a method of this agent`), 404);
    return Promise.resolve();
  }
}
