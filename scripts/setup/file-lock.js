// One set-up at a time. The lock is the kernel's (flock(2)), held by a child that ends with this process: a set-up that
// is killed leaves no lock behind, and there is no stale one to judge.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupError } from './setup-error.js';

/** Exit status of flock(1) when somebody else has the lock; above what the shell and signals use. */
const BUSY = 99;

/**
 * Runs `action` while no other process holds the lock, after waiting for the one that does.
 *
 * @template T
 * @param {string} file is created; stays
 * @param {(message: string) => void} log told when there is somebody to wait for
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
export async function withFileLock(file, log, action) {
  mkdirSync(dirname(file), { recursive: true });
  let release = await acquire(file, ['--nonblock']);
  if (release === undefined) {
    log('another set-up is running; waiting for it');
    release = await acquire(file, []);
  }
  if (release === undefined) throw new SetupError(`cannot lock ${file}`);
  try {
    return await action();
  } finally {
    await release();
  }
}

/**
 * @param {string} file
 * @param {readonly string[]} options of flock(1)
 * @returns {Promise<(() => Promise<void>) | undefined>} undefined when it is taken
 */
function acquire(file, options) {
  return new Promise((resolve, reject) => {
    // `cat` answers once the lock is held, and ends when its input does, which is with this process at the latest.
    const args = [...options, '--exclusive', '--conflict-exit-code', String(BUSY), file, 'cat'];
    const holder = spawn('flock', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((done) => holder.on('close', done));
    holder.on('error', (error) => reject(new SetupError(`flock cannot be started: ${error.message}`)));
    holder.stdin.on('error', () => {});
    holder.stdin.write('held\n');
    holder.stdout.once('data', () =>
      resolve(async () => {
        holder.stdin.end();
        await ended;
      }),
    );
    ended.then((status) => {
      if (status === BUSY) resolve(undefined);
      else reject(new SetupError(`cannot lock ${file}: flock ended with status ${status}`));
    });
  });
}
