// The server's log: JSON lines in a file that is only appended to. Fields that could hold a secret never get in.
import pino, { type Logger } from 'pino';

export function openLogger(path: string): { logger: Logger; close: () => Promise<void> } {
  const destination = pino.destination({ dest: path, mkdir: true, append: true, sync: true });
  const logger = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause, err: pino.stdSerializers.errWithCause },
    },
    destination,
  );
  return {
    logger,
    close: async () => {
      destination.flushSync();
      destination.end();
    },
  };
}
