// Everything a browser has, and the identities that are kept in files.
export * from './browser';
export { createDeviceIdentity, openDeviceIdentity } from './kept-device-identity';
