// Where everything the set-up makes has its place. Images and agents live outside the data directory: they are shared
// read-only by all sandboxes, and removing the data must not remove them.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** `SANDPORT_HOME`, so that tests leave the machine's own installation alone. */
export const home = process.env.SANDPORT_HOME || '/var/lib/sandport';

export const imagesDirectory = join(home, 'images');
export const agentsDirectory = join(home, 'agent');
export const lockFile = join(home, 'setup.lock');
/** What the server reads to learn which image and which agent to use. */
export const installationFile = join(home, 'installation.json');
