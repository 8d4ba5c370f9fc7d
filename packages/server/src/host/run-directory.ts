/** Of what is gone when the machine starts anew; root's. */
export const RUN_DIRECTORY = '/run/sandport';
