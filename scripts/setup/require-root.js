import { SetupError } from './setup-error.js';

/**
 * @param {string} reason what is not there yet
 * @throws SetupError when this process is not root's
 */
export function requireRoot(reason) {
  if (process.getuid?.() === 0) return;
  throw new SetupError(`${reason}, and only root can make it`, 'run "sudo npm run setup"');
}
