// Takes what happens on a connection on a handle, and keeps it.
import type { StreamOwner } from '../tcp-stream.ts';

export class Recorder implements StreamOwner {
  received = '';
  drains = 0;
  ended = false;
  closed = false;

  read(length: number, buf: Buffer): void {
    this.received += buf.toString('latin1', 0, length);
  }
  next(): undefined {}
  onDrain(): void {
    this.drains++;
  }
  onEnd(): void {
    this.ended = true;
  }
  onClose(): void {
    this.closed = true;
  }
}
