// Runs other programs: argument lists only, never a shell, and a failure repeats the program's first and last words.
import { spawn } from 'node:child_process';
import { SetupError } from './setup-error.js';

/** Lines at either end of a failed program's output that are worth repeating. */
const KEPT_LINES = 12;

/**
 * Runs a program to its end.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {object} [options]
 * @param {string} [options.cwd]
 * @param {Record<string, string | undefined>} [options.env] the whole environment; the set-up's own when absent
 * @param {string} [options.input] what it reads from standard input, which is empty otherwise
 * @param {(line: string) => void} [options.onLine] gets every line of its standard error as it comes
 * @param {string} [options.remedy] what to do when it fails
 * @returns {Promise<string>} its standard output
 */
export function run(program, args, { cwd, env, input = '', onLine, remedy } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...(env ?? process.env), LC_ALL: 'C.UTF-8' } });
    let stdout = '';
    let partial = '';
    /** @type {string[]} */
    const said = [];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      const lines = (partial + text).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) {
        said.push(line);
        if (said.length > 2 * KEPT_LINES) said.splice(KEPT_LINES, 1);
        onLine?.(line);
      }
    });
    // A program that ends without reading its input is judged by its exit status alone.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error) => reject(new SetupError(`${program} cannot be started: ${error.message}`, remedy)));
    child.on('close', (status, signal) => {
      if (status === 0) return resolve(stdout);
      const words = [...said, partial].filter((line) => line.trim() !== '');
      if (words.length === 0) words.push(...stdout.trimEnd().split('\n').slice(-KEPT_LINES));
      const end = signal === null ? `exit status ${status}` : `signal ${signal}`;
      reject(
        new SetupError(
          `${[program, ...args].join(' ')}\nfailed with ${end}:\n${words.map((word) => `  ${word}`).join('\n')}`,
          remedy,
        ),
      );
    });
  });
}
