/** A failure the reader can do something about: what is wrong, and what to type. */
export class SetupError extends Error {
  /**
   * @param {string} message what is wrong
   * @param {string} [remedy] what to do about it
   */
  constructor(message, remedy) {
    super(message);
    this.name = 'SetupError';
    this.remedy = remedy;
  }
}
