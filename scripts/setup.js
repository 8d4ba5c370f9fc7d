// Makes this machine ready for Sandport: run by npm before "start", "demo", "test" and "bench", and by hand as
// "npm run setup". Any Node from 18 on runs it. When all is there it changes nothing and prints nothing.
import { parseArgs } from 'node:util';
import { hasAgent, prepareAgentDirectory } from './setup/agent-directory.js';
import { buildBaseImage, isBuilt, wantedBaseImage } from './setup/base-image.js';
import { withFileLock } from './setup/file-lock.js';
import { recordInstallation } from './setup/installation.js';
import { lockFile, repository } from './setup/locations.js';
import { installNodeModules } from './setup/node-modules.js';
import { pinnedNode } from './setup/pinned-node.js';
import { log } from './setup/progress.js';
import { requireRoot } from './setup/require-root.js';
import { SetupError } from './setup/setup-error.js';
import { installSystemPackages, occasions } from './setup/system-packages.js';

try {
  const occasion = readOccasion();
  await installNodeModules(repository);
  await installSystemPackages(occasion);
  const baseImage = await prepareBaseImage();
  recordInstallation({ baseImage, agentDirectory: await prepareAgent(), node: pinnedNode().version });
} catch (error) {
  const { message, remedy } = explain(error);
  log(`set-up failed: ${message}`);
  if (remedy !== undefined) log(`what to do: ${remedy}`);
  process.exitCode = 1;
}

/**
 * Tells a failure that the reader can mend from a defect of the set-up.
 *
 * @param {Error & { code?: string }} error
 */
function explain(error) {
  if (error instanceof SetupError) return error;
  const remedies = {
    EACCES: 'run "sudo npm run setup"',
    EPERM: 'run "sudo npm run setup"',
    ENOSPC: 'free 3 GB on that disk, then run it again',
    EROFS: 'set SANDPORT_HOME to a directory that can be written, then run it again',
  };
  const remedy = remedies[error.code];
  if (remedy === undefined) throw error;
  return { message: error.message, remedy };
}

function readOccasion() {
  let occasion;
  try {
    occasion = parseArgs({ options: { for: { type: 'string' } } }).values.for;
  } catch (error) {
    throw new SetupError(error.message, 'run "npm run setup"');
  }
  if (occasion !== undefined && !occasions.includes(occasion)) {
    throw new SetupError(`--for ${occasion} is not known`, `give one of: ${occasions.join(', ')}`);
  }
  return occasion;
}

async function prepareBaseImage() {
  const image = wantedBaseImage();
  if (isBuilt(image)) return image;
  requireRoot('the base image is not built yet');
  await withFileLock(lockFile, log, async () => {
    // The set-up that had the lock may have built it.
    if (!isBuilt(image)) await buildBaseImage(image);
  });
  return image;
}

async function prepareAgent() {
  if (hasAgent(repository)) return prepareAgentDirectory({ root: repository, log });
  log('agent: skipped, packages/agent/src/main.ts is not there');
  return undefined;
}
