export { DesktopEnvironments, type EnvironmentRef } from './desktop-environments';
export { DESKTOP_HOST_LEASE_KIND, DesktopHosts, type DesktopHost, type HostDescription } from './desktop-hosts';
export { HostIdentityError, readHostId } from './host-identity';
export { HostRegistration, type HostRegistrationOptions } from './host-registration';
export { pruneDeletedDesktops, walkGoneHosts } from './host-retention';
