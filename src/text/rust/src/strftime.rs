//! strftime of the C locale, without a time zone's name: what datetime.now().strftime gives.

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    week_day: i64,
    year_day: i64,
}

impl Civil {
    /// `seconds` since 1970-01-01 in local time. Howard Hinnant's days algorithm.
    pub fn from_seconds(seconds: i64) -> Civil {
        let days = seconds.div_euclid(86400);
        let rest = seconds.rem_euclid(86400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
        Civil {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            week_day: (days + 4).rem_euclid(7),
            year_day: before + day - 1 + i64::from(leap && month > 2),
        }
    }

    /// (year, week) of ISO 8601.
    fn iso_week(&self) -> (i64, i64) {
        let monday_based = (self.week_day + 6) % 7;
        let week = (self.year_day - monday_based + 10) / 7;
        let weeks_in = |year: i64| {
            let last = |y: i64| (y + y / 4 - y / 100 + y / 400) % 7;
            if last(year) == 4 || last(year - 1) == 3 {
                53
            } else {
                52
            }
        };
        if week < 1 {
            (self.year - 1, weeks_in(self.year - 1))
        } else if week > weeks_in(self.year) {
            (self.year + 1, 1)
        } else {
            (self.year, week)
        }
    }

    pub fn format(&self, pattern: &str) -> String {
        let mut out = String::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut flag = None;
            if let Some(f @ ('-' | '_' | '0' | '^')) = chars.peek() {
                flag = Some(*f);
                chars.next();
            }
            match chars.next() {
                Some(directive) => self.directive(&mut out, directive, flag),
                None => out.push('%'),
            }
        }
        out
    }

    fn directive(&self, out: &mut String, directive: char, flag: Option<char>) {
        let hour12 = if self.hour % 12 == 0 { 12 } else { self.hour % 12 };
        let (value, width, pad) = match directive {
            'Y' => (self.year, 0, '0'),
            'C' => (self.year / 100, 2, '0'),
            'y' => (self.year.rem_euclid(100), 2, '0'),
            'm' => (self.month, 2, '0'),
            'd' => (self.day, 2, '0'),
            'e' => (self.day, 2, ' '),
            'H' => (self.hour, 2, '0'),
            'k' => (self.hour, 2, ' '),
            'I' => (hour12, 2, '0'),
            'l' => (hour12, 2, ' '),
            'M' => (self.minute, 2, '0'),
            'S' => (self.second, 2, '0'),
            'f' => (0, 6, '0'),
            'j' => (self.year_day + 1, 3, '0'),
            'w' => (self.week_day, 1, '0'),
            'u' => (if self.week_day == 0 { 7 } else { self.week_day }, 1, '0'),
            'U' => ((self.year_day + 7 - self.week_day) / 7, 2, '0'),
            'W' => ((self.year_day + 7 - (self.week_day + 6) % 7) / 7, 2, '0'),
            'G' => (self.iso_week().0, 0, '0'),
            'g' => (self.iso_week().0.rem_euclid(100), 2, '0'),
            'V' => (self.iso_week().1, 2, '0'),
            _ => return self.text_directive(out, directive, flag),
        };
        let digits = value.to_string();
        let pad = match flag {
            Some('-') => None,
            Some('_') => Some(' '),
            Some('0') => Some('0'),
            _ => Some(pad),
        };
        if let Some(pad) = pad {
            (digits.len()..width).for_each(|_| out.push(pad));
        }
        out.push_str(&digits);
    }

    fn text_directive(&self, out: &mut String, directive: char, flag: Option<char>) {
        let day = DAYS[self.week_day as usize];
        let month = MONTHS[self.month as usize - 1];
        let text = match directive {
            'A' => day.to_string(),
            'a' => day[..3].to_string(),
            'B' => month.to_string(),
            'b' | 'h' => month[..3].to_string(),
            'p' => (if self.hour < 12 { "AM" } else { "PM" }).to_string(),
            'P' => (if self.hour < 12 { "am" } else { "pm" }).to_string(),
            'D' | 'x' => self.format("%m/%d/%y"),
            'F' => self.format("%Y-%m-%d"),
            'T' | 'X' => self.format("%H:%M:%S"),
            'R' => self.format("%H:%M"),
            'r' => self.format("%I:%M:%S %p"),
            'c' => self.format("%a %b %e %H:%M:%S %Y"),
            'n' => "\n".to_string(),
            't' => "\t".to_string(),
            'z' | 'Z' => String::new(),
            '%' => "%".to_string(),
            // The C library leaves what it does not know as it stands.
            other => match flag {
                Some(flag) => format!("%{flag}{other}"),
                None => format!("%{other}"),
            },
        };
        out.push_str(&if flag == Some('^') { text.to_uppercase() } else { text });
    }
}
