// Finds the method that a path of the form /package.Service/Method names.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConnectError } from './connect-error.ts';
import type { Service } from './method.ts';
import { answerUnaryError, serveMethod } from './serve-method.ts';

/** Makes each service when it is first called: what a sandbox does not use costs it no memory. */
export type Services = Readonly<Record<string, () => Service | Promise<Service>>>;

export class ConnectRouter {
  readonly #services: Services;
  readonly #made = new Map<string, Service | Promise<Service>>();

  constructor(services: Services) {
    this.#services = services;
  }

  /** Whether `path` is in the name space of a service, existing method or not. */
  owns(path: string): boolean {
    return Object.hasOwn(this.#services, serviceOf(path));
  }

  async serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const service = serviceOf(path);
    const name = { service, method: path.slice(service.length + 2) };
    const method = (await this.#make(service))?.methods.get(name.method);
    if (method !== undefined) return serveMethod(method, name, request, response);
    // Clients read 404 as `unimplemented`; the body says it to those that read bodies.
    answerUnaryError(response, new ConnectError('unimplemented', `${path} is not a method of this agent`), 404);
  }

  #make(name: string): Service | Promise<Service> | undefined {
    if (!Object.hasOwn(this.#services, name)) return undefined;
    const service = this.#made.get(name) ?? this.#services[name]!();
    this.#made.set(name, service);
    return service;
  }
}

function serviceOf(path: string): string {
  return path.slice(1, path.indexOf('/', 1));
}
