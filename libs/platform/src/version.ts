/** Told to operators, so that they see which processes still run an old one. A test holds it to package.json. */
export const VERSION = '0.1.0';
