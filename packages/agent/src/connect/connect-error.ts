// A failure of an RPC, with the code that the clients branch on.
import type { ConnectCode, ConnectErrorBody } from '@sandport/protocol/connect';
import { reportProblem } from '../logs/problems.ts';

export class ConnectError extends Error {
  override name = 'ConnectError';
  readonly code: ConnectCode;

  constructor(code: ConnectCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  toBody(): ConnectErrorBody {
    return { code: this.code, message: this.message };
  }

  /** Anything thrown as an RPC failure; what was not meant for the client is logged and stays inside. */
  static from(error: unknown): ConnectError {
    if (error instanceof ConnectError) return error;
    reportProblem('a call failed', error);
    return new ConnectError('internal', 'internal error of the agent');
  }
}
