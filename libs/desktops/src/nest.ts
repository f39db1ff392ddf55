export { DesktopHostModule, DesktopsModule } from './desktops.module';
