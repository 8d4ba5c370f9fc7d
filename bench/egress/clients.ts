// Where clients run: as programs of the machine, or in a container, as those of a sandbox do.
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { deleteContainer, type RuntimeName, runCommandLine, writeBundle } from '../support/bare-container.ts';
import { CLIENT, OrderedClient } from './ordered-client.ts';

/** On the network of a namespace. */
export type StartClient = (namespace: string, args: readonly string[]) => Promise<OrderedClient>;

/** @param stack ends what is started */
export function onMachine(stack: AsyncDisposableStack): StartClient {
  return async (namespace, args) =>
    stack.use(new OrderedClient(['ip', 'netns', 'exec', namespace, process.execPath, CLIENT, ...args]));
}

/**
 * A sandbox's program, on the base image. gVisor takes the addresses of its network over: each needs one of its own.
 *
 * @param stack ends what is started
 * @param directory for what they are made of, which is there for as long as they are
 */
export function inContainers(
  stack: AsyncDisposableStack,
  runtime: RuntimeName,
  { rootfs, directory }: { readonly rootfs: string; readonly directory: string },
): StartClient {
  // A directory of the image: it is shared, and must not get one more.
  const mounts = [{ destination: '/mnt', type: 'bind', source: dirname(CLIENT), options: ['bind', 'ro'] }];
  return async (namespace, args) => {
    const bundle = join(directory, namespace);
    await mkdir(bundle);
    const command = ['/usr/local/bin/node', `/mnt/${basename(CLIENT)}`, ...args];
    await writeBundle({ rootfs, args: command, mounts }, bundle, { namespacePath: `/run/netns/${namespace}` });
    stack.defer(() => deleteContainer(runtime, bundle));
    return stack.use(new OrderedClient(runCommandLine(runtime, bundle)));
  };
}
