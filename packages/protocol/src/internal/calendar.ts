/*
 * Days of the proleptic Gregorian calendar, which `Date` knows only 100 million of on each side of 1970. The calendar repeats
 * every 400 years; counted from a 1st of March, the leap day is the last one of a year.
 */

/** A day by its year, its month from 1 and its day from 1. There is a year 0. */
export interface CivilDay {
  readonly year: number
  readonly month: number
  readonly day: number
}

/** Days of 400 years. */
const ERA = 146_097
/** From the 1st of March of the year 0 to 1970-01-01. */
const EPOCH = 719_468

/** Days since 1970-01-01. A day past the end of its month runs into the next one. */
export const daysOf = ({ day, month, year }: CivilDay): number => {
  const marchYear = month <= 2 ? year - 1 : year
  const era = Math.floor(marchYear / 400)
  const yearOfEra = marchYear - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * ERA + dayOfEra - EPOCH
}

/** The inverse of {@link daysOf}. */
export const civilOf = (days: number): CivilDay => {
  const shifted = days + EPOCH
  const era = Math.floor(shifted / ERA)
  const dayOfEra = shifted - era * ERA
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1
  }
}
