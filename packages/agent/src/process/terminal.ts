// A pseudo-terminal (pty(7)): the program has the device, the agent the other end, where what the program shows comes out.
import { chownSync, closeSync, constants, openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import type { User } from '../access/users.ts';
import type { Libc } from '../native/libc.ts';
import type { TerminalSize } from './messages.ts';
import { signalSession } from './signal-session.ts';
import { TerminalInput } from './terminal-input.ts';

/** asm-generic/ioctls.h: the terminal's number, its lock, its size, its foreground process group. */
const TIOCGPTN = 0x8004_5430;
const TIOCSPTLCK = 0x4004_5431;
const TIOCSWINSZ = 0x5414;
const TIOCGPGRP = 0x540f;
/** What a terminal is taken for that was made without a size. */
const DEFAULT_SIZE: TerminalSize = { cols: 80, rows: 24 };

export class Terminal {
  /** Where the program opens it. */
  readonly device: string;
  readonly #libc: Libc;
  readonly #descriptor: number;
  /**
   * The device, held open until the program has ended: many close their terminal just before they exit (cat does). To the
   * agent that would be the end of the output, and to close its end then is a SIGHUP, which would be how the program ended.
   */
  readonly #held: number;
  /** gVisor, which signals nobody, is told by what it does not know at this end: who is in the foreground. */
  readonly #kernelSignals: boolean;
  #output: ReadStream | undefined;

  /** A new one, which belongs to that user. To be called as root: only root gives a device away. */
  constructor(libc: Libc, user: User, { cols, rows }: TerminalSize) {
    this.#libc = libc;
    const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
    this.#descriptor = openSync('/dev/ptmx', O_RDWR | O_NOCTTY | O_NONBLOCK);
    try {
      const number = Buffer.alloc(4);
      libc.control(this.#descriptor, TIOCSPTLCK, number);
      libc.control(this.#descriptor, TIOCGPTN, number);
      this.device = `/dev/pts/${number.readInt32LE()}`;
      chownSync(this.device, user.uid, -1);
      this.#kernelSignals = this.#knowsForeground();
      this.#setSize({ cols: cols || DEFAULT_SIZE.cols, rows: rows || DEFAULT_SIZE.rows });
      this.#held = openSync(this.device, O_RDWR | O_NOCTTY);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  /**
   * Does nothing when it is closed.
   *
   * @param session the pid of the program that leads its session; its programs get SIGWINCH
   */
  resize(size: TerminalSize, session: number): void {
    if (this.#output?.destroyed) return;
    this.#setSize(size);
    if (!this.#kernelSignals) signalSession(session, 'SIGWINCH');
  }

  /**
   * To be called when the program that led the session has ended; without it the output does not end. When it was killed,
   * those that it leaves behind are to end too.
   */
  leaderEnded(session: number, killed: boolean): void {
    closeSync(this.#held);
    if (killed && !this.#kernelSignals) signalSession(session, 'SIGHUP');
  }

  /**
   * The agent's end as streams, when the program has opened the device. The end of the output, which comes after the
   * program's, closes it.
   */
  connect(): { readonly input: Writable; readonly output: Readable } {
    const output = new ReadStream(this.#descriptor);
    this.#output = output;
    // After the close the number may be that of another file.
    const isOpen = (): boolean => !output.destroyed;
    return { input: new TerminalInput(this.#descriptor, isOpen), output };
  }

  /** Gives it back unconnected. */
  close(): void {
    closeSync(this.#held);
    closeSync(this.#descriptor);
  }

  #setSize({ cols, rows }: TerminalSize): void {
    // struct winsize: rows, columns, and their pixels, which nobody knows.
    const size = new Uint16Array([rows, cols, 0, 0]);
    this.#libc.control(this.#descriptor, TIOCSWINSZ, Buffer.from(size.buffer));
  }

  #knowsForeground(): boolean {
    try {
      this.#libc.control(this.#descriptor, TIOCGPGRP, Buffer.alloc(4));
      return true;
    } catch {
      return false;
    }
  }
}
