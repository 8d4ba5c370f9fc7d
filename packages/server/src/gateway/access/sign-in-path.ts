/** Where the sign-in page sends the token, in its header. Other pages cannot: browsers ask the host before they send that header elsewhere. */
export const SIGN_IN_PATH = '/.sandport/sign-in';
