/** The reader that the package brings, in its folder `models/reader`: its name among those of `potstill`. */
export const READER = "tiny";
